// A real CAS for the end-to-end tests: the server that xet-client brings for its own tests, on a
// port that the system chooses.
//
//     local_cas_server DIRECTORY
//
// Keeps xorbs and shards below DIRECTORY, prints its address ("http://127.0.0.1:PORT") on one line
// and serves until standard input ends, so that no server outlives the test that started it.
use std::io::Read;

use tokio::net::TcpListener;
use xet_client::cas_client::{LocalClient, LocalServer};
use xet_runtime::core::XetContext;

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.len() != 1 {
        eprintln!("usage: local_cas_server DIRECTORY");
        std::process::exit(2);
    }
    if let Err(error) = serve(&arguments[0]).await {
        eprintln!("local_cas_server: {error}");
        std::process::exit(1);
    }
}

async fn serve(directory: &str) -> Result<(), Box<dyn std::error::Error>> {
    let client = LocalClient::new(XetContext::default()?, directory).await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let server = LocalServer::from_client(client.clone(), Some(client), "127.0.0.1".to_string(), port);
    let (stop, stopped) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let mut ignored = [0u8; 64];
        while matches!(std::io::stdin().read(&mut ignored), Ok(n) if n > 0) {}
        let _ = stop.send(());
    });
    println!("http://127.0.0.1:{port}");
    server.serve_until_stopped(listener, stopped).await?;
    Ok(())
}
