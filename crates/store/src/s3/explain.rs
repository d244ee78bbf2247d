//! From the SDK's errors to who has to act.
//!
//! Status and code decide, and the status where they differ: servers agree on it, on codes they do not.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use crate::{ObjectKey, StoreError};

/// What was asked for when the error came.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) place: &'a str,
    pub(super) action: &'static str,
    /// The object, if the request is about one that may be missing.
    pub(super) key: Option<&'a ObjectKey>,
}

/// Who has to act.
#[derive(Debug, PartialEq)]
enum Blame {
    Object,
    Bucket,
    Rights(&'static str),
    Outage,
    Space,
    Region,
    Request,
}

pub(super) fn explain<E>(asked: Asked<'_>, error: &SdkError<E>) -> StoreError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let Some(answer) = error.raw_response() else {
        return unanswered(asked, error);
    };
    let status = answer.status().as_u16();
    let code = error.code().unwrap_or_default();
    let why = match (code, error.message()) {
        ("", _) if answer.status().is_success() => {
            format!("the answer made no sense: {}", chain(error))
        }
        ("", _) => format!("the server answered {status}"),
        (code, Some(message)) => format!("the server answered {status} {code}: {message}"),
        (code, None) => format!("the server answered {status} {code}"),
    };
    let Asked { place, action, key } = asked;
    let place = place.to_owned();
    match (blame(status, code), key) {
        (Blame::Object, Some(key)) => StoreError::NotFound { place, key: key.clone() },
        (Blame::Object, None) | (Blame::Bucket, _) => StoreError::NoSuchBucket { place },
        (Blame::Rights(advice), _) => StoreError::Denied { place, action, why, advice },
        (Blame::Outage, _) => StoreError::Unavailable { place, action, why },
        (Blame::Space, _) => StoreError::Full { place, action, why },
        (Blame::Request, _) => StoreError::Invalid { place, action, why },
        (Blame::Region, _) => {
            let region = answer.headers().get("x-amz-bucket-region").unwrap_or("another region");
            let why = format!("{why}; the bucket is in {region}, set AWS_REGION to it");
            StoreError::Invalid { place, action, why }
        }
    }
}

fn blame(status: u16, code: &str) -> Blame {
    match (code, status) {
        ("NoSuchBucket", _) => Blame::Bucket,
        ("NoSuchKey", _) => Blame::Object,
        ("AuthorizationHeaderMalformed" | "PermanentRedirect" | "TemporaryRedirect", _) => Blame::Region,
        ("InvalidAccessKeyId" | "SignatureDoesNotMatch", _) => {
            Blame::Rights("check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE")
        }
        ("ExpiredToken" | "InvalidToken" | "TokenRefreshRequired", _) => {
            Blame::Rights("the credentials have run out: fetch new ones")
        }
        ("RequestTimeTooSkewed", _) => Blame::Rights("set this machine's clock"),
        // Kept in an archive tier: a right would not help.
        ("InvalidObjectState", _) => Blame::Request,
        ("XMinioStorageFull" | "QuotaExceeded", _) | (_, 507) => Blame::Space,
        ("RequestTimeout" | "SlowDown" | "Throttling" | "ThrottlingException", _) => Blame::Outage,
        (_, 404) => Blame::Object,
        (_, 401 | 403) => Blame::Rights("give these credentials the right to list, read or write there"),
        (_, 301 | 302 | 307 | 308) => Blame::Region,
        (_, 501) => Blame::Request,
        // A success that could not be understood was cut off or mangled on its way.
        (_, 200..=299 | 408 | 429 | 500..) => Blame::Outage,
        _ => Blame::Request,
    }
}

fn unanswered<E>(asked: Asked<'_>, error: &SdkError<E>) -> StoreError
where
    E: Error + 'static,
{
    let Asked { place, action, .. } = asked;
    let (place, why) = (place.to_owned(), chain(error));
    if lacks_credentials(error) {
        let advice = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE";
        return StoreError::Denied { place, action, why, advice };
    }
    match error {
        SdkError::ConstructionFailure(_) => StoreError::Invalid { place, action, why },
        _ => StoreError::Unavailable { place, action, why },
    }
}

/// Nobody gave credentials, or the settings for them are wrong. A provider that was asked in vain (a role's
/// server that is down) is an outage.
fn lacks_credentials(error: &(dyn Error + 'static)) -> bool {
    causes(error).any(|cause| {
        matches!(
            cause.downcast_ref::<CredentialsError>(),
            Some(CredentialsError::CredentialsNotLoaded(_) | CredentialsError::InvalidConfiguration(_))
        )
    })
}

fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&cause| cause.source())
}

/// The error and its causes in one line, what is said twice only once.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut parts: Vec<String> = causes(error).map(ToString::to_string).collect();
    parts.dedup();
    parts.join(": ")
}

#[cfg(test)]
mod tests {
    use aws_credential_types::provider::future;
    use aws_sdk_s3::Client;
    use aws_sdk_s3::config::retry::RetryConfig;
    use aws_sdk_s3::config::{Builder, ProvideCredentials, Region};

    use super::*;
    use crate::{PhotoStore, S3Store, s3::limited};

    #[test]
    fn status_and_code_say_who_has_to_act() {
        assert_eq!(blame(404, "NoSuchKey"), Blame::Object);
        assert_eq!(blame(404, ""), Blame::Object);
        assert_eq!(blame(404, "NoSuchBucket"), Blame::Bucket);
        assert!(matches!(blame(403, "SignatureDoesNotMatch"), Blame::Rights(_)));
        assert!(matches!(blame(403, ""), Blame::Rights(_)));
        assert!(matches!(blame(400, "ExpiredToken"), Blame::Rights(_)));
        assert_eq!(blame(403, "InvalidObjectState"), Blame::Request);
        assert_eq!(blame(503, "SlowDown"), Blame::Outage);
        assert_eq!(blame(500, "InternalError"), Blame::Outage);
        assert_eq!(blame(400, "RequestTimeout"), Blame::Outage);
        assert_eq!(blame(200, ""), Blame::Outage);
        assert_eq!(blame(501, "NotImplemented"), Blame::Request);
        assert_eq!(blame(507, ""), Blame::Space);
        assert_eq!(blame(301, "PermanentRedirect"), Blame::Region);
        assert_eq!(blame(400, "InvalidRequest"), Blame::Request);
    }

    #[derive(Debug)]
    struct Nobody;

    impl ProvideCredentials for Nobody {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            future::ProvideCredentials::ready(Err(CredentialsError::not_loaded_no_source()))
        }
    }

    #[tokio::test]
    async fn a_night_without_credentials_is_told_which_variables_to_set() {
        let config = limited(Builder::new())
            .region(Region::new("us-east-1"))
            .endpoint_url("http://localhost")
            .force_path_style(true)
            .retry_config(RetryConfig::disabled())
            .credentials_provider(Nobody)
            .build();
        let store = S3Store::new(Client::from_conf(config), "photos", "").unwrap();
        let error = store.check().await.unwrap_err();
        assert!(matches!(error, StoreError::Denied { .. }), "{error}");
        assert!(error.to_string().contains("AWS_ACCESS_KEY_ID"), "{error}");
    }
}
