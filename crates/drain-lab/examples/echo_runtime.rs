//! A function that does what its event says, for the tests of the Lambda service. It speaks the Runtime API with
//! nothing but the standard library.
//!
//! `{"do": "echo"}` answers with the event and what the process knows; `fail` answers with an error, for the first
//! `times` runs of an event; `exit` ends the process; `hang` never answers; `print` prints `lines` lines; `spawn`
//! starts a process and answers with its id. The environment variable `INIT` makes initialisation `fail`, `exit` or
//! `print`.

use std::collections::HashMap;
use std::error::Error;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::process::{Command, exit};
use std::{env, thread};

use serde_json::{Value, json};

fn main() -> Result<(), Box<dyn Error>> {
    let api = env::var("AWS_LAMBDA_RUNTIME_API")?;
    match env::var("INIT").as_deref() {
        Ok("fail") => {
            let error = json!({"errorType": "Init.Failed", "errorMessage": "as asked"});
            send(&api, "POST", "init/error", &error.to_string())?;
            exit(1);
        }
        Ok("exit") => exit(3),
        Ok("print") => writeln!(io::stdout(), "initialised")?,
        _ => {}
    }
    let mut runs: HashMap<String, u64> = HashMap::new();
    loop {
        let (headers, body) = send(&api, "GET", "invocation/next", "")?;
        let id = headers.get("lambda-runtime-aws-request-id").ok_or("no request id")?.clone();
        let event: Value = serde_json::from_str(&body)?;
        let run = runs.entry(id.clone()).or_default();
        *run += 1;
        match event["do"].as_str() {
            Some("fail") if *run <= event["times"].as_u64().unwrap_or(u64::MAX) => {
                let error = json!({"errorType": "Test.Failed", "errorMessage": "as asked"});
                send(&api, "POST", &format!("invocation/{id}/error"), &error.to_string())?;
                continue;
            }
            Some("exit") => exit(2),
            Some("hang") => {
                writeln!(io::stdout(), "before the silence")?;
                loop {
                    thread::park();
                }
            }
            Some("print") => {
                for number in 1..=event["lines"].as_u64().unwrap_or(1) {
                    writeln!(io::stdout(), "line {number}")?;
                }
                writeln!(io::stderr(), "and an error")?;
            }
            _ => {}
        }
        let child = match event["do"].as_str() {
            Some("spawn") => Some(Command::new("sleep").arg("1000").spawn()?.id()),
            _ => None,
        };
        let environment: HashMap<String, String> = env::vars().collect();
        let process = std::process::id();
        let answer = json!({"event": event, "headers": headers, "environment": environment, "process": process,
            "child": child, "run": *run});
        send(&api, "POST", &format!("invocation/{id}/response"), &answer.to_string())?;
    }
}

/// Sends one request, and returns headers, their names in lower case, and body of the answer.
fn send(api: &str, method: &str, path: &str, body: &str) -> io::Result<(HashMap<String, String>, String)> {
    let mut stream = TcpStream::connect(api)?;
    write!(
        stream,
        "{method} /2018-06-01/runtime/{path} HTTP/1.1\r\nHost: {api}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    let headers = head
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    Ok((headers, body.to_owned()))
}
