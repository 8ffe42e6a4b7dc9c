//! A function that does what its event says, for the tests of the Lambda service. It speaks the Runtime API with
//! nothing but the standard library.
//!
//! `{"do": "echo"}` answers with the event and what the process knows; `fail` answers with an error, for the first
//! `times` runs of an event; `exit` ends the process; `hang` never answers; `print` prints `lines` lines; `spawn`
//! starts a process and answers with its id. Of a batch of messages, the body of the first one says what to do; a message
//! `{"fails": 2}` is reported as failed the first two times that it is received, and `{"answer": ...}` makes that the
//! whole answer. The environment variable `INIT` makes initialisation `fail`, `exit` or
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
        let messages = messages(&event);
        let wish = messages.first().map_or(&event, |message| &message.body);
        let run = runs.entry(id.clone()).or_default();
        *run += 1;
        match wish["do"].as_str() {
            Some("fail") if *run <= wish["times"].as_u64().unwrap_or(u64::MAX) => {
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
                for number in 1..=wish["lines"].as_u64().unwrap_or(1) {
                    writeln!(io::stdout(), "line {number}")?;
                }
                writeln!(io::stderr(), "and an error")?;
            }
            _ => {}
        }
        let child = match wish["do"].as_str() {
            Some("spawn") => Some(Command::new("sleep").arg("1000").spawn()?.id()),
            _ => None,
        };
        let environment: HashMap<String, String> = env::vars().collect();
        let process = std::process::id();
        let failed: Vec<Value> = messages
            .iter()
            .filter(|message| message.receives <= message.body["fails"].as_u64().unwrap_or(0))
            .map(|message| json!({"itemIdentifier": message.id}))
            .collect();
        let answer = match wish.get("answer") {
            Some(answer) => answer.clone(),
            None => {
                json!({"event": event, "headers": headers, "environment": environment, "process": process,
                "child": child, "run": *run, "batchItemFailures": failed})
            }
        };
        send(&api, "POST", &format!("invocation/{id}/response"), &answer.to_string())?;
    }
}

/// A message of a queue.
struct Message {
    id: Value,
    body: Value,
    receives: u64,
}

/// The messages of a batch; none if the event is no batch.
fn messages(event: &Value) -> Vec<Message> {
    let records = event["Records"].as_array().into_iter().flatten();
    records
        .filter(|record| record["eventSource"] == "aws:sqs")
        .map(|record| Message {
            id: record["messageId"].clone(),
            body: record["body"]
                .as_str()
                .and_then(|body| serde_json::from_str(body).ok())
                .unwrap_or_default(),
            receives: record["attributes"]["ApproximateReceiveCount"]
                .as_str()
                .and_then(|count| count.parse().ok())
                .unwrap_or(0),
        })
        .collect()
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
