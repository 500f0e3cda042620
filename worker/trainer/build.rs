//! Lets the built trainer find libtorch where it was linked, without `LD_LIBRARY_PATH`, and know its version.

use std::path::Path;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=DEP_TCH_LIBTORCH_LIB");
    let mut version = None;
    if let Ok(folder) = std::env::var("DEP_TCH_LIBTORCH_LIB") {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{folder}");
        println!("cargo:rustc-env=TENFOLD_LIBTORCH_LIB={folder}");
        version = version_of(Path::new(&folder));
    }
    println!(
        "cargo:rustc-env=TENFOLD_LIBTORCH_VERSION={}",
        version.as_deref().unwrap_or("unknown")
    );
}

/// From the header beside the libraries, which every way of installing libtorch brings along.
fn version_of(libraries: &Path) -> Option<String> {
    let header = libraries.parent()?.join("include/torch/headeronly/version.h");
    let text = std::fs::read_to_string(header).ok()?;
    let number = |part: &str| {
        let name = format!("#define TORCH_VERSION_{part} ");
        text.lines()
            .find_map(|line| line.strip_prefix(&name))
            .map(str::trim)
    };
    Some(format!(
        "{}.{}.{}",
        number("MAJOR")?,
        number("MINOR")?,
        number("PATCH")?
    ))
}
