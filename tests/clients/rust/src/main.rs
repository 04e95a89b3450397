// The Rust client as the end-to-end tests drive it:
//
//     hubgate-test-client file OWNER NAME PATH
//     hubgate-test-client snapshot OWNER NAME
//
// HF_ENDPOINT, HF_TOKEN and HF_HOME come from the environment. Prints the local path, or the
// client's own error on standard error with exit status 1.
use hf_hub::HFClientSync;

fn run(arguments: &[String]) -> hf_hub::HFResult<std::path::PathBuf> {
    let client = HFClientSync::new()?;
    let repository = client.model(&arguments[1], &arguments[2]);
    match arguments[0].as_str() {
        "file" => repository.download_file().filename(&arguments[3]).send(),
        _ => repository.snapshot_download().send(),
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let wanted = match arguments.first().map(String::as_str) {
        Some("file") => 4,
        Some("snapshot") => 3,
        _ => 0,
    };
    if wanted == 0 || arguments.len() != wanted {
        eprintln!("usage: hubgate-test-client file OWNER NAME PATH | snapshot OWNER NAME");
        std::process::exit(2);
    }
    match run(&arguments) {
        Ok(path) => println!("{}", path.display()),
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(1);
        }
    }
}
