//! The program: everything is in the library's composition root.

fn main() -> std::process::ExitCode {
    slotway::cli::main()
}
