//! `ministack`, and what a person does with the AWS CLI.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::File;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use drain_lab::lab::{Lab, TOKEN};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;
use tempfile::TempDir;

use crate::tools::{Tools, root};

/// Where the token is kept.
const TOKEN_PARAMETER: &str = "/nomad-drain/token";

/// It runs until it is dropped, with everything that it has started.
pub(crate) struct Emulator {
    tools: Tools,
    url: String,
    nomad_url: String,
    outputs: RefCell<BTreeMap<String, String>>,
    folder: TempDir,
    process: Child,
}

impl Emulator {
    /// Starts one with the package and the token in it.
    pub(crate) async fn start(tools: Tools, lab: &Lab) -> Self {
        let folder = TempDir::new().unwrap();
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let url = format!("http://127.0.0.1:{port}");
        let log = File::create(folder.path().join("emulator.log")).unwrap();
        let process = Command::new(tools.program("ministack"))
            .current_dir(folder.path())
            .env("HOME", folder.path())
            .env("TMPDIR", folder.path())
            .env("GATEWAY_PORT", port.to_string())
            .env("BIND_HOST", "127.0.0.1")
            .env("AWS_ENDPOINT_URL", &url)
            // Functions inherit these. The emulator knows no lifecycle actions, and nobody wants to wait; a stack has parameters
            // for that.
            .env("AWS_ENDPOINT_URL_AUTO_SCALING", lab.aws_url())
            .env("AWS_ENDPOINT_URL_EC2", lab.aws_url())
            .env("POLL_INTERVAL", "200ms")
            .env("EVENT_LINGER", "5s")
            .env("SWEEP_LINGER", "2s")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .process_group(0)
            .spawn()
            .unwrap();
        // The functions' credentials are the emulator's.
        lab.aws.believe_everybody();
        let emulator =
            Self { tools, url, nomad_url: lab.nomad_url(), outputs: RefCell::default(), folder, process };
        let give_up = Instant::now() + Duration::from_mins(1);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            assert!(Instant::now() < give_up, "the emulator does not start: {}", emulator.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        emulator.pack();
        emulator.put_token(TOKEN_PARAMETER);
        emulator
    }

    /// The package that is deployed: this build's own function.
    pub(crate) fn package(&self) -> PathBuf {
        self.folder.path().join("lambda-nomad-drain-x86_64.zip")
    }

    fn pack(&self) {
        let script = "import sys, zipfile\n\
            entry = zipfile.ZipInfo('bootstrap')\n\
            entry.external_attr, entry.compress_type = 0o755 << 16, zipfile.ZIP_DEFLATED\n\
            with zipfile.ZipFile(sys.argv[2], 'w', compresslevel=1) as package:\n\
            \x20   package.writestr(entry, open(sys.argv[1], 'rb').read())\n";
        let mut python = Command::new(self.tools.program("python"));
        python.arg("-c").arg(script).arg(env!("CARGO_BIN_EXE_bootstrap")).arg(self.package());
        assert!(python.status().unwrap().success());
    }

    pub(crate) fn put_token(&self, name: &str) {
        self.aws(&[
            "ssm",
            "put-parameter",
            "--name",
            name,
            "--type",
            "SecureString",
            "--overwrite",
            "--value",
            TOKEN,
        ]);
    }

    /// A group as the template's hooks want it. Its instances are the lab's.
    pub(crate) fn create_group(&self, name: &str) {
        self.aws(&[
            "autoscaling",
            "create-launch-configuration",
            "--launch-configuration-name",
            name,
            "--image-id",
            "ami-12345678",
            "--instance-type",
            "t3.micro",
        ]);
        self.aws(&[
            "autoscaling",
            "create-auto-scaling-group",
            "--auto-scaling-group-name",
            name,
            "--launch-configuration-name",
            name,
            "--min-size",
            "0",
            "--max-size",
            "9",
            "--availability-zones",
            "us-east-1a",
        ]);
    }

    /// `deploy/sam/deploy`, as an operator would call it.
    pub(crate) fn deploy(&self, stack: &str, parameters: &[&str]) {
        self.deploy_for(stack, crate::harness::GROUP, parameters);
    }

    /// The same, for groups of other names.
    pub(crate) fn deploy_for(&self, stack: &str, groups: &str, parameters: &[&str]) {
        let run = self
            .command(&root().join("deploy/sam/deploy"))
            .arg(stack)
            .arg(self.package())
            .arg(format!("NomadAddr={}", self.nomad_url))
            .arg(format!("NomadTokenParameter={TOKEN_PARAMETER}"))
            .arg(format!("AutoScalingGroups={groups}"))
            .args(["PollInterval=200ms", "EventLinger=5s", "SweepLinger=2s"])
            .args(parameters)
            .output()
            .unwrap();
        if run.status.success() {
            return self.read_outputs(stack);
        }
        let events = self.aws(&["cloudformation", "describe-stack-events", "--stack-name", stack]);
        panic!("{}{events:#}", String::from_utf8_lossy(&run.stderr));
    }

    pub(crate) fn delete(&self, stack: &str) {
        self.aws(&["cloudformation", "delete-stack", "--stack-name", stack]);
        self.aws(&["cloudformation", "wait", "stack-delete-complete", "--stack-name", stack]);
    }

    /// An output of the newest stack.
    pub(crate) fn output(&self, name: &str) -> String {
        let outputs = self.outputs.borrow();
        outputs.get(name).unwrap_or_else(|| panic!("no output {name}: {outputs:?}")).clone()
    }

    fn read_outputs(&self, stack: &str) {
        let answer = self.aws(&["cloudformation", "describe-stacks", "--stack-name", stack]);
        let outputs = answer["Stacks"][0]["Outputs"].as_array().unwrap().iter();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let outputs = outputs.map(|output| (text(&output["OutputKey"]), text(&output["OutputValue"])));
        self.outputs.replace(outputs.collect());
    }

    pub(crate) fn queue_url(&self) -> String {
        let arn = self.output("QueueArn");
        let name = arn.rsplit(':').next().unwrap();
        let answer = self.aws(&["sqs", "get-queue-url", "--queue-name", name]);
        answer["QueueUrl"].as_str().unwrap().to_owned()
    }

    /// Invokes a function and gives its answer.
    pub(crate) fn invoke(&self, function: &str, payload: &Value) -> Value {
        let answer = self.folder.path().join("answer.json");
        self.aws(&[
            "lambda",
            "invoke",
            "--function-name",
            function,
            "--payload",
            &payload.to_string(),
            answer.to_str().unwrap(),
        ]);
        serde_json::from_slice(&std::fs::read(answer).unwrap()).unwrap()
    }

    /// Hands an event over, as hooks do.
    pub(crate) fn send(&self, function: &str, payload: &Value) {
        let answer = self.folder.path().join("accepted.json");
        self.aws(&[
            "lambda",
            "invoke",
            "--invocation-type",
            "Event",
            "--function-name",
            function,
            "--payload",
            &payload.to_string(),
            answer.to_str().unwrap(),
        ]);
    }

    /// One call of the AWS CLI.
    #[track_caller]
    pub(crate) fn aws(&self, arguments: &[&str]) -> Value {
        let run = self
            .command(&self.tools.program("aws"))
            .args(["--endpoint-url", &self.url])
            .args(arguments)
            .output()
            .unwrap();
        assert!(
            run.status.success(),
            "aws {}: {}{}",
            arguments.join(" "),
            String::from_utf8_lossy(&run.stderr),
            self.log()
        );
        serde_json::from_slice(&run.stdout).unwrap_or(Value::Null)
    }

    fn command(&self, program: &Path) -> Command {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths([self.tools.bin()].into_iter().chain(std::env::split_paths(&path)));
        let mut command = Command::new(program);
        command
            .env("PATH", path.unwrap())
            .env("HOME", self.folder.path())
            .env("AWS_ENDPOINT_URL", &self.url)
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("AWS_REGION", "us-east-1")
            .env("AWS_DEFAULT_REGION", "us-east-1")
            .env("AWS_PAGER", "")
            .env_remove("AWS_PROFILE")
            .env_remove("AWS_SESSION_TOKEN")
            .stdin(Stdio::null());
        command
    }

    /// What the functions have logged, after a failure.
    fn say_what_functions_said(&self) {
        let script = "for group in $(aws logs describe-log-groups --query 'logGroups[].logGroupName' --output text); do \
            aws logs filter-log-events --log-group-name \"$group\" --query 'events[].message' --output text; done";
        let run = self.command(Path::new("bash")).args(["-c", script]).output();
        let said = run.map(|run| String::from_utf8_lossy(&run.stdout).into_owned()).unwrap_or_default();
        crate::say(&format!("the functions' last words:\n{said}"));
    }

    /// The end of what it has said.
    fn log(&self) -> String {
        let text = std::fs::read_to_string(self.folder.path().join("emulator.log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.say_what_functions_said();
        }
        if let Some(group) = Pid::from_raw(self.process.id().cast_signed()) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.process.wait();
        if std::thread::panicking() {
            crate::say(&format!("the emulator's last words:\n{}", self.log()));
        }
    }
}
