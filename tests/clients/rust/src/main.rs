// The Rust client as the end-to-end tests drive it:
//
//     hubgate-test-client file OWNER NAME PATH
//     hubgate-test-client snapshot OWNER NAME
//     hubgate-test-client upload OWNER NAME FILE...        one commit; makes the repository first
//     hubgate-test-client pull-request OWNER NAME FILE
//     hubgate-test-client delete OWNER NAME PATH
//
// HF_ENDPOINT, HF_TOKEN and HF_HOME come from the environment. Prints the local path or the commit,
// or the client's own error on standard error with exit status 1.
use std::path::Path;

use hf_hub::repository::{AddSource, CommitOperation, RepoTypeModel};
use hf_hub::{HFClientSync, HFResult};

fn name_of(file: &str) -> String {
    let name = Path::new(file).file_name();
    name.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn run(arguments: &[String]) -> HFResult<String> {
    let client = HFClientSync::new()?;
    let repository = client.model(&arguments[1], &arguments[2]);
    let rest = &arguments[3..];
    match arguments[0].as_str() {
        "file" => {
            let path = repository.download_file().filename(&rest[0]).send()?;
            Ok(path.display().to_string())
        }
        "snapshot" => Ok(repository.snapshot_download().send()?.display().to_string()),
        "delete" => Ok(format!("{:?}", repository.delete_file().path_in_repo(&rest[0]).send()?)),
        "pull-request" => {
            let upload = repository.upload_file().source(AddSource::file(&rest[0]));
            let done = upload.path_in_repo(name_of(&rest[0])).create_pr(true).send()?;
            Ok(format!("{done:?}"))
        }
        _ => {
            let id = format!("{}/{}", arguments[1], arguments[2]);
            client.create_repository().repo_id(&id).repo_type(RepoTypeModel).exist_ok(true).send()?;
            if let [file] = rest {
                let upload = repository.upload_file().source(AddSource::file(file));
                return Ok(format!("{:?}", upload.path_in_repo(name_of(file)).send()?));
            }
            let add = |file: &String| CommitOperation::add_file(name_of(file), file);
            let operations = rest.iter().map(add).collect();
            let commit = repository.create_commit().operations(operations);
            Ok(format!("{:?}", commit.commit_message("files").send()?))
        }
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let good = match arguments.first().map(String::as_str) {
        Some("file" | "pull-request" | "delete") => arguments.len() == 4,
        Some("snapshot") => arguments.len() == 3,
        Some("upload") => arguments.len() > 3,
        _ => false,
    };
    if !good {
        eprintln!(
            "usage: hubgate-test-client file|pull-request|delete OWNER NAME PATH | \
             snapshot OWNER NAME | upload OWNER NAME FILE..."
        );
        std::process::exit(2);
    }
    match run(&arguments) {
        Ok(said) => println!("{said}"),
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(1);
        }
    }
}
