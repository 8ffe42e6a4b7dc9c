//! What AWS charges, in US dollars, in us-east-1, without free tiers and discounts.

/// A price.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Price {
    /// What for.
    pub(crate) what: &'static str,
    /// US dollars for one of it.
    pub(crate) usd: f64,
    /// One of what.
    pub(crate) unit: &'static str,
    /// The page that says so.
    pub(crate) source: &'static str,
}

/// When the prices were looked up, in published copies of the pages that are named.
pub(crate) const LOOKED_UP: &str = "2026-11-29";

macro_rules! prices {
    ($($name:ident $what:literal $usd:literal per $unit:literal $source:literal)*) => {
        $(pub(crate) const $name: Price = Price { what: $what, usd: $usd, unit: $unit, source: $source };)*

        /// Every price.
        pub(crate) const ALL: &[Price] = &[$($name),*];
    };
}

prices! {
    LAMBDA_ARM "Lambda, arm64" 0.000_013_333_4 per "GB-second" "aws.amazon.com/lambda/pricing"
    LAMBDA_X86 "Lambda, x86_64" 0.000_016_666_7 per "GB-second" "aws.amazon.com/lambda/pricing"
    LAMBDA_REQUEST "Lambda" 0.000_000_2 per "request" "aws.amazon.com/lambda/pricing"
    SNS_MESSAGE "SNS to Lambda" 0.000_000_5 per "message" "aws.amazon.com/sns/pricing"
    LOG_BYTE "CloudWatch Logs" 0.000_000_000_5 per "byte written" "aws.amazon.com/cloudwatch/pricing"
    METRIC_MONTH "CloudWatch custom metric" 0.3 per "month" "aws.amazon.com/cloudwatch/pricing"
    DASHBOARD_MONTH "CloudWatch dashboard" 3.0 per "month" "aws.amazon.com/cloudwatch/pricing"
    ALARM_MONTH "CloudWatch alarm" 0.1 per "month" "aws.amazon.com/cloudwatch/pricing"
    TRACE "X-Ray" 0.000_005 per "trace" "aws.amazon.com/xray/pricing"
    INSTANCE_HOUR "EC2 m7g.large, on demand, Linux" 0.0816 per "hour" "aws.amazon.com/ec2/pricing/on-demand"
}
