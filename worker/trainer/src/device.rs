//! The device that a trainer trains on.

use std::fmt;
use std::num::NonZeroU16;
use std::str::FromStr;

use tenfold_types::{DeviceKind, frame};

use crate::LIBTORCH_VERSION;
use crate::cuda::{self, CudaError};
use crate::train::Place;

/// A device as the command line names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// `cpu`.
    Cpu,
    /// `cuda:N`.
    Cuda(usize),
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
        }
    }
}

/// Text that names no device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no device; write cpu or cuda:N, such as cuda:0")]
pub struct UnknownDevice(String);

impl FromStr for Wanted {
    type Err = UnknownDevice;
    fn from_str(text: &str) -> Result<Self, UnknownDevice> {
        let number = |text: &str| text.parse().ok().filter(|&number| number < 1024);
        match text.split_once(':') {
            None if text == "cpu" => Ok(Self::Cpu),
            None if text == "cuda" => Ok(Self::Cuda(0)),
            Some(("cuda", digits)) => number(digits)
                .map(Self::Cuda)
                .ok_or_else(|| UnknownDevice(text.to_owned())),
            _ => Err(UnknownDevice(text.to_owned())),
        }
    }
}

/// A device that is ready.
#[derive(Debug, Clone)]
pub struct Ready {
    /// Where to train.
    pub place: Place,
    /// Trials that are trained truly at once.
    pub lanes: u32,
    /// What a worker records of it.
    pub of_record: frame::Device,
}

/// Memory that is left to others: one part of so many.
const SPARED: u64 = 10;

/// Makes a device ready.
///
/// Call it before anything else of libtorch, and once: libtorch looks for its CUDA half only then.
///
/// # Errors
/// A GPU is wanted and cannot be had.
pub fn start(wanted: Wanted, threads: NonZeroU16) -> Result<Ready, CudaError> {
    let (device, kind, name, memory) = match wanted {
        Wanted::Cpu => (tch::Device::Cpu, DeviceKind::Cpu, processor(), free_memory()),
        Wanted::Cuda(number) => {
            cuda::load()?;
            let gpus = cuda::gpus()?;
            let gpu = gpus.get(number).ok_or(CudaError::NoSuchGpu {
                asked: number,
                found: gpus.len(),
            })?;
            let device = tch::Device::Cuda(number);
            (device, DeviceKind::Cuda, gpu.name.clone(), gpu.memory)
        }
    };
    // A thread trains a trial alone. What libtorch computes for it must not wait for other threads, nor its bits depend
    // on them.
    tch::set_num_interop_threads(1);
    tch::set_num_threads(1);
    Ok(Ready {
        place: Place {
            device,
            threads: threads.get().into(),
            memory: memory - memory / SPARED,
            fuse: kind == DeviceKind::Cuda,
        },
        lanes: match kind {
            DeviceKind::Cpu => threads.get().into(),
            DeviceKind::Cuda => 1,
        },
        of_record: frame::Device {
            kind,
            name,
            threads: u32::from(threads.get()),
            libtorch: LIBTORCH_VERSION.to_owned(),
        },
    })
}

/// Bytes of memory that are free, as the system estimates it; all that can be addressed where it does not.
pub fn free_memory() -> u64 {
    let information = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    information
        .lines()
        .filter_map(|line| line.strip_prefix("MemAvailable:"))
        .find_map(|rest| rest.trim().strip_suffix("kB")?.trim().parse::<u64>().ok())
        .map_or(u64::MAX, |kilobytes| kilobytes * 1024)
}

/// The processor's model and vector extension, on which the bits of a curve depend: `AMD EPYC, AVX2`.
pub fn processor() -> String {
    match vector_extension() {
        Some(extension) => format!("{}, {extension}", model()),
        None => model(),
    }
}

/// The widest vector extension that libtorch's kernels distinguish; none where it has one kernel for all processors.
#[cfg(target_arch = "x86_64")]
fn vector_extension() -> Option<&'static str> {
    match (
        is_x86_feature_detected!("avx512f"),
        is_x86_feature_detected!("avx2"),
    ) {
        (true, _) => Some("AVX-512"),
        (false, true) => Some("AVX2"),
        (false, false) => Some("no AVX2"),
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn vector_extension() -> Option<&'static str> {
    None
}

/// The processor's model, or its kind where the system does not name it.
fn model() -> String {
    let information = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    information
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.trim() == "model name")
        .map_or_else(
            || std::env::consts::ARCH.to_owned(),
            |(_, name)| name.trim().to_owned(),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_have_names() {
        assert_eq!("cpu".parse(), Ok(Wanted::Cpu));
        assert_eq!("cuda".parse(), Ok(Wanted::Cuda(0)));
        assert_eq!("cuda:3".parse(), Ok(Wanted::Cuda(3)));
        for text in ["", "gpu", "cpu:0", "cuda:", "cuda:-1", "cuda:99999", "CUDA:0"] {
            assert!(text.parse::<Wanted>().is_err(), "{text:?}");
        }
    }
}
