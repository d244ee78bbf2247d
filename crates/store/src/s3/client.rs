//! The client: what the environment says, within limits of ours.
//!
//! The SDK has no time limit for reading or for an operation, so these are set here, once. A photo of 50 MB
//! passes within them at 3.4 Mbit/s.

use std::env;
use std::time::Duration;

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{Builder, StalledStreamProtectionConfig};
use aws_types::service_config::ServiceConfigKey;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// One try, up to the head of the answer.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
/// All tries together, up to the head of the answer.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(120);
/// One body, which the SDK's limits do not cover.
pub(super) const BODY_TIMEOUT: Duration = Duration::from_secs(120);
/// How long a body may stand still before it is fetched again.
const STALL_GRACE: Duration = Duration::from_secs(8);
const ATTEMPTS: u32 = 5;

/// The one place that says which defaults of the SDK this program was tested with.
pub fn behaviour() -> BehaviorVersion {
    BehaviorVersion::v2026_01_12()
}

/// Time limits, retries (adaptive: it slows down when the server asks for it) and defaults of this program.
pub fn limited(builder: Builder) -> Builder {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .operation_timeout(OPERATION_TIMEOUT)
        .build();
    let stalls = StalledStreamProtectionConfig::enabled().grace_period(STALL_GRACE).build();
    builder
        .behavior_version(behaviour())
        .timeout_config(timeouts)
        .retry_config(RetryConfig::adaptive().with_max_attempts(ATTEMPTS))
        .stalled_stream_protection(stalls)
}

/// The client, and the endpoint if it is not AWS's.
pub(super) async fn from_environment() -> (Client, Option<String>) {
    let sdk = aws_config::defaults(behaviour()).region(region()).load().await;
    let endpoint = endpoint(&sdk).filter(|url| is_own(url));
    let builder = limited(Builder::from(&sdk)).force_path_style(endpoint.is_some());
    (Client::from_conf(builder.build()), endpoint)
}

/// The region that is configured, else us-east-1, which servers of one's own expect.
pub(super) fn region() -> RegionProviderChain {
    let own_server = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"].into_iter().any(|name| env::var_os(name).is_some());
    let configured = if own_server {
        // Asking the metadata service of a machine that is not Amazon's takes seconds.
        RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
            .or_else(ProfileFileRegionProvider::new())
    } else {
        RegionProviderChain::default_provider()
    };
    configured.or_else(Region::new("us-east-1"))
}

/// The endpoint as the SDK will find it, by variable or profile, for S3 alone or for all services.
fn endpoint(sdk: &SdkConfig) -> Option<String> {
    let key =
        ServiceConfigKey::builder().service_id("S3").env("AWS_ENDPOINT_URL").profile("endpoint_url").build().ok()?;
    let for_s3 = sdk.service_config().and_then(|config| config.load_config(key));
    for_s3.or_else(|| sdk.endpoint_url().map(str::to_owned))
}

/// Whether a server is one's own and may not know buckets as host names.
fn is_own(endpoint: &str) -> bool {
    let host = endpoint.split_once("://").map_or(endpoint, |(_, rest)| rest);
    let host = host.split(['/', ':']).next().unwrap_or_default();
    !(host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_amazons_servers_get_buckets_as_host_names() {
        for own in ["http://127.0.0.1:8333", "https://minio.example.org", "http://localhost/"] {
            assert!(is_own(own), "{own}");
        }
        for amazon in ["https://s3.eu-central-1.amazonaws.com", "https://s3.cn-north-1.amazonaws.com.cn/"] {
            assert!(!is_own(amazon), "{amazon}");
        }
    }

    #[test]
    fn no_request_can_hang_for_ever() {
        let config = limited(Builder::new()).build();
        let timeouts = config.timeout_config().unwrap();
        assert_eq!(timeouts.operation_attempt_timeout(), Some(ATTEMPT_TIMEOUT));
        assert_eq!(timeouts.operation_timeout(), Some(OPERATION_TIMEOUT));
        assert_eq!(config.retry_config().unwrap().max_attempts(), ATTEMPTS);
        assert!(config.stalled_stream_protection().unwrap().is_enabled());
    }
}
