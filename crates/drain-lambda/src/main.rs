//! The AWS Lambda function. Receives the payload, builds what every invocation shares once, and answers.

use std::fmt;
use std::rc::Rc;

use drain::live::Budget;
use drain::{Answer, Context, Function};
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde_json::value::RawValue;
use tracing::Instrument as _;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let environment = |name: &str| std::env::var(name).ok();
    drain::telemetry::start(environment);
    let function = &Function::new(environment);
    // On the heap: what an invocation keeps while it waits is more than belongs on a stack.
    lambda_runtime::run(service_fn(move |event| Box::pin(invoke(function, event)))).await
}

async fn invoke(function: &Function, event: LambdaEvent<Box<RawValue>>) -> Result<Answer, Failure> {
    let LambdaEvent { payload, context } = event;
    let budget = Budget::before(context.deadline());
    let trace_id = context.xray_trace_id.as_deref();
    // Spans say whose a line is: they are there for warnings and errors too.
    let span = tracing::error_span!("invocation", request_id = %context.request_id, trace_id);
    function.invoke(payload.get(), Context { budget, trace_id }).instrument(span).await.map_err(Failure)
}

/// A failure in the form in which the runtime logs it (by `Debug`) and reports it (as a diagnostic).
struct Failure(Rc<drain::Error>);

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.name(), self.0.explanation())
    }
}

impl From<Failure> for Diagnostic {
    fn from(failure: Failure) -> Self {
        Self { error_type: failure.0.name().to_owned(), error_message: failure.0.explanation() }
    }
}
