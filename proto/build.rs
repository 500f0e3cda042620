//! Compiles the protos with protox, so that no `protoc` has to be installed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=tenfold");
    let files = protox::compile(["tenfold/v1/control.proto", "tenfold/v1/fleet.proto"], ["."])?;
    tonic_prost_build::configure().compile_fds(files)?;
    Ok(())
}
