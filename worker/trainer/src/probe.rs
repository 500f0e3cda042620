//! What a node has, for `tenfold-worker doctor` and `--device auto`.

use std::fmt::Write as _;
use std::num::NonZeroU16;
use std::path::Path;

use crate::LIBTORCH_VERSION;
use crate::cuda;
use crate::data::Mnist;
use crate::device::{Wanted, free_memory, processor};

/// Lines `key=value`, as `--help` of the binary explains them.
pub fn probe(wanted: Wanted, threads: NonZeroU16, data: &Path) -> String {
    let mut lines = String::new();
    let mut line = |key: &str, value: &dyn std::fmt::Display| {
        let value = value.to_string().replace(['\n', '\r'], " ");
        // Writing to a string cannot fail.
        let _ = writeln!(lines, "{key}={value}");
    };
    line("libtorch", &LIBTORCH_VERSION);
    line("processor", &processor());
    line("threads", &threads);
    line("memory", &free_memory());
    let gpus = cuda::load().and_then(|()| cuda::gpus());
    line("cuda_devices", &gpus.as_ref().map_or(0, Vec::len));
    match &gpus {
        Ok(gpus) => {
            line("cuda", &"ok");
            for (number, gpu) in gpus.iter().enumerate() {
                line(&format!("device_{number}.name"), &gpu.name);
                line(&format!("device_{number}.memory"), &gpu.memory);
            }
        }
        Err(error) => line("cuda", error),
    }
    match (wanted, &gpus) {
        (Wanted::Cuda(number), Ok(gpus)) if number >= gpus.len() => {
            let found = gpus.len();
            line("device", &cuda::CudaError::NoSuchGpu { asked: number, found });
        }
        (Wanted::Cuda(_), Err(error)) => line("device", error),
        _ => line("device", &"ok"),
    }
    match Mnist::load(data) {
        Ok(_) => line("data", &"ok"),
        Err(error) => line("data", &error),
    }
    lines
}
