//! CUDA: loading the part of libtorch that the linker leaves out, and the names of GPUs.
#![expect(unsafe_code, reason = "libraries loaded at run time are foreign code")]

use std::ffi::{CStr, c_char, c_int, c_uint};

use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};

/// Why there is no CUDA.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CudaError {
    /// Libtorch was installed for CPUs, or lacks one of NVIDIA's libraries.
    #[error("cannot load libtorch_cuda.so: {0}; CUDA=1 deploy/setup-libtorch.sh installs what a GPU needs")]
    NoLibrary(String),
    /// There is no GPU that libtorch can use.
    #[error(
        "libtorch finds no GPU: {0}; nvidia-smi should list one, and CUDA_VISIBLE_DEVICES must not hide it"
    )]
    NoGpu(String),
    /// There are fewer GPUs than that.
    #[error("no device cuda:{asked}: libtorch finds {found}, cuda:0 to cuda:{}", found - 1)]
    NoSuchGpu {
        /// The number asked for.
        asked: usize,
        /// How many there are, at least 1.
        found: usize,
    },
}

/// A GPU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gpu {
    /// Its model, such as `NVIDIA H100 80GB HBM3`.
    pub name: String,
    /// Its memory in bytes.
    pub memory: u64,
}

/// Loads libtorch's CUDA half. Call it before anything else of libtorch, which looks for it only once.
///
/// # Errors
/// It is not there, or lacks a library of its own.
pub fn load() -> Result<(), CudaError> {
    // First where the loader finds libtorch itself (LD_LIBRARY_PATH, then our rpath), then where it was linked.
    let name = "libtorch_cuda.so";
    let linked = option_env!("TENFOLD_LIBTORCH_LIB").map(|folder| format!("{folder}/{name}"));
    let mut problem = String::new();
    for path in std::iter::once(name.to_owned()).chain(linked) {
        // SAFETY: the initialisers of this library are made to run at any time before the first use of libtorch.
        match unsafe { Library::open(Some(&path), RTLD_NOW | RTLD_GLOBAL) } {
            Ok(library) => {
                // Libtorch keeps pointers into it for the rest of the process.
                std::mem::forget(library);
                return Ok(());
            }
            Err(error) => problem = in_full(&error),
        }
    }
    Err(CudaError::NoLibrary(problem))
}

/// The GPUs that libtorch can use, as NVIDIA's driver names them; after [`load`].
///
/// # Errors
/// There are none.
pub fn gpus() -> Result<Vec<Gpu>, CudaError> {
    let count = tch::Cuda::device_count().max(0) as usize;
    if count == 0 {
        let why = match driver(0) {
            Ok(gpu) => format!("the driver has {}, but libtorch cannot use it", gpu.name),
            Err(error) => error,
        };
        return Err(CudaError::NoGpu(why));
    }
    let gpu = |number: usize| {
        driver(number as c_int).unwrap_or_else(|error| {
            tracing::warn!("cuda:{number} has no name: {error}");
            Gpu {
                name: format!("CUDA device {number}"),
                memory: 0,
            }
        })
    };
    Ok((0..count).map(gpu).collect())
}

/// What NVIDIA's driver says of a GPU; its numbers are libtorch's, since both heed `CUDA_VISIBLE_DEVICES`.
fn driver(number: c_int) -> Result<Gpu, String> {
    let mut name = [0 as c_char; 256];
    let mut memory = 0usize;
    let mut device: c_int = 0;
    // SAFETY: the signatures are those of the CUDA driver API; the pointers are valid for the calls, and the name is
    // written with its final zero into a buffer whose length is given.
    unsafe {
        let library = Library::open(Some("libcuda.so.1"), RTLD_NOW).map_err(|error| in_full(&error))?;
        let find = |symbol: &'static str, status: c_int| match status {
            0 => Ok(()),
            status => Err(format!("{symbol} answers {status}")),
        };
        let init = library
            .get::<unsafe extern "C" fn(c_uint) -> c_int>(c"cuInit")
            .map_err(|e| in_full(&e))?;
        find("cuInit", init(0))?;
        let get = library
            .get::<unsafe extern "C" fn(*mut c_int, c_int) -> c_int>(c"cuDeviceGet")
            .map_err(|e| in_full(&e))?;
        find("cuDeviceGet", get(&raw mut device, number))?;
        let get_name = library
            .get::<unsafe extern "C" fn(*mut c_char, c_int, c_int) -> c_int>(c"cuDeviceGetName")
            .map_err(|e| in_full(&e))?;
        find(
            "cuDeviceGetName",
            get_name(name.as_mut_ptr(), name.len() as c_int, device),
        )?;
        let total = library
            .get::<unsafe extern "C" fn(*mut usize, c_int) -> c_int>(c"cuDeviceTotalMem_v2")
            .map_err(|e| in_full(&e))?;
        find("cuDeviceTotalMem_v2", total(&raw mut memory, device))?;
        // The driver stays: libtorch uses it too.
        std::mem::forget(library);
    }
    let bytes = name.map(|byte| byte as u8);
    let name = CStr::from_bytes_until_nul(&bytes).map(|name| name.to_string_lossy().into_owned());
    Ok(Gpu {
        name: name.unwrap_or_else(|_| format!("CUDA device {number}")),
        memory: memory as u64,
    })
}

fn in_full(error: &libloading::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => source.to_string(),
        None => error.to_string(),
    }
}
