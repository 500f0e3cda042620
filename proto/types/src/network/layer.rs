//! What all kinds of layers have in common: the enum over them, and the forms in which they are written.
//!
//! In a sweep file (and wherever else serde meets a format for people) a layer is its name, or a table of that name
//! with its settings: `"relu"`, `{ linear = { units = 100 } }`. On the wire it is a name and a list of settings. In
//! frames between worker and trainer it is what serde derives.

use serde::de::value::MapDeserializer;
use serde::de::{Deserializer, IntoDeserializer, Visitor};

use crate::Value;

/// Text that is no layer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayerError {
    /// No kind of layer has this name.
    #[error("{name:?} is no layer; {}", advice(name, names))]
    Unknown {
        /// The name given.
        name: String,
        /// All names possible.
        names: &'static [&'static str],
    },
    /// A setting is missing, unknown or wrong.
    #[error("layer {name:?}: {problem}")]
    Settings {
        /// The layer's name.
        name: &'static str,
        /// What is wrong.
        problem: String,
    },
}

fn advice(name: &str, names: &[&str]) -> String {
    let nearest = names
        .iter()
        .map(|known| (strsim::damerau_levenshtein(name, known), known))
        .min();
    match nearest {
        Some((distance, known)) if distance <= 2 => format!("did you mean {known:?}?"),
        _ => format!("the layers are {}", names.join(", ")),
    }
}

/// Lets serde read a layer's settings as they come over the wire.
pub(super) fn settings_deserializer<'a>(
    settings: &'a [(String, Value)],
) -> impl Deserializer<'a, Error = serde::de::value::Error> {
    MapDeserializer::new(settings.iter().map(|(key, value)| (key.as_str(), Setting(value))))
}

struct Setting<'a>(&'a Value);

impl<'de> IntoDeserializer<'de, serde::de::value::Error> for Setting<'de> {
    type Deserializer = Self;
    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Setting<'de> {
    type Error = serde::de::value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        match self.0 {
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Int(value) => visitor.visit_i64(*value),
            Value::Float(value) => visitor.visit_f64(*value),
            Value::Text(value) => visitor.visit_borrowed_str(value),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_some(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

macro_rules! layers {
    ($($(#[$docs:meta])* $kind:ident,)*) => {
        /// One layer, as the sweep file writes it: `"relu"` or `{ linear = { units = 100 } }`.
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(remote = "Self")]
        pub enum Layer { $($(#[$docs])* $kind($kind),)* }

        impl Layer {
            /// The names of all kinds, in sweep files and on the wire.
            pub const NAMES: &[&'static str] = &[$(<$kind as LayerKind>::NAME,)*];

            /// Its name in sweep files and on the wire.
            pub fn name(&self) -> &'static str {
                match self { $(Self::$kind(_) => $kind::NAME,)* }
            }

            /// Its settings by their names in sweep files, those at their defaults left out.
            pub fn settings(&self) -> Vec<(&'static str, crate::Value)> {
                match self { $(Self::$kind(layer) => layer.settings(),)* }
            }

            /// What it makes of an input.
            ///
            /// # Errors
            /// The input does not fit, or a setting makes no sense.
            pub fn flow(&self, input: Shape) -> Result<Flow, Misfit> {
                match self { $(Self::$kind(layer) => layer.flow(input),)* }
            }

            /// The layer of this name with these settings; the inverse of [`Layer::name`] and [`Layer::settings`].
            ///
            /// # Errors
            /// No layer has the name, or a setting is missing, unknown or of the wrong kind.
            pub fn from_settings(name: &str, settings: &[(String, crate::Value)]) -> Result<Self, LayerError> {
                match name {
                    $(<$kind as LayerKind>::NAME => {
                        let settings = layer::settings_deserializer(settings);
                        match <$kind as serde::Deserialize>::deserialize(settings) {
                            Ok(layer) => Ok(Self::$kind(layer)),
                            Err(error) => Err(LayerError::Settings { name: $kind::NAME, problem: error.to_string() }),
                        }
                    })*
                    _ => Err(LayerError::Unknown { name: name.to_owned(), names: Self::NAMES }),
                }
            }
        }

        $(impl From<$kind> for Layer {
            fn from(layer: $kind) -> Self {
                Self::$kind(layer)
            }
        })*

        /// Its name and its settings: `conv2d, channels 20, kernel 3`.
        impl std::fmt::Display for Layer {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())?;
                self.settings().iter().try_for_each(|(name, value)| write!(f, ", {name} {value}"))
            }
        }

        impl serde::Serialize for Layer {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeMap;
                if !serializer.is_human_readable() {
                    return Self::serialize(self, serializer);
                }
                let settings = self.settings();
                if settings.is_empty() {
                    return serializer.serialize_str(self.name());
                }
                let settings: std::collections::BTreeMap<_, _> = settings.into_iter().collect();
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry(self.name(), &settings)?;
                map.end()
            }
        }

        impl<'de> serde::Deserialize<'de> for Layer {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Written;
                impl<'de> serde::de::Visitor<'de> for Written {
                    type Value = Layer;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("a layer, such as \"relu\" or { linear = { units = 100 } }")
                    }

                    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Layer, E> {
                        Layer::from_settings(name, &[]).map_err(E::custom)
                    }

                    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Layer, A::Error> {
                        use serde::de::Error;
                        let Some(name) = map.next_key::<String>()? else {
                            return Err(A::Error::invalid_length(0, &self));
                        };
                        let layer = match name.as_str() {
                            $(<$kind as LayerKind>::NAME => Layer::$kind(map.next_value()?),)*
                            _ => return Err(A::Error::custom(LayerError::Unknown { name, names: Layer::NAMES })),
                        };
                        match map.next_key::<String>()? {
                            Some(second) => Err(A::Error::custom(format_args!(
                                "a layer has one name, and this has two, {name:?} and {second:?}; put its settings in \
                                 a table of their own, as in {{ linear = {{ units = 100 }} }}"
                            ))),
                            None => Ok(layer),
                        }
                    }
                }
                if deserializer.is_human_readable() {
                    deserializer.deserialize_any(Written)
                } else {
                    Self::deserialize(deserializer)
                }
            }
        }
    };
}
pub(super) use layers;
