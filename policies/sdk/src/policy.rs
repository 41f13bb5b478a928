//! What a policy is: a trait for what every policy does, and one for each hook. Whatever a policy does not say is an
//! abstention.
//!
//! Implement [`Policy`] and the hooks' traits for the type of your settings, and name the hooks in [`export!`](crate::export).
//! Nothing else is needed, and all of it can be tested with `cargo test`: the traits' functions are ordinary ones.

use alloc::string::String;

use crate::{Description, matching, naming, offline, parameters};

/// What every policy does. The value of the type is its settings, read once for each instance.
pub trait Policy: Sized + Send + Sync + 'static {
    /// Says who it is and what it has to see; see [`description!`](crate::description).
    fn describe() -> Description;

    /// Reads the settings, a JSON object; see [`Settings`](crate::Settings).
    ///
    /// # Errors
    ///
    /// A sentence for the operator. It refuses the policy.
    fn configure(settings: &str) -> Result<Self, String>;
}

/// Under which names a project is offered.
pub trait Naming: Policy {
    fn names(&self, question: &naming::Question) -> naming::Verdict {
        let _ = question;
        naming::Verdict::abstain(NOTHING)
    }
}

/// Which labels a class of nodes satisfies.
pub trait Matching: Policy {
    fn matches(&self, question: &matching::Question) -> matching::Verdict {
        let _ = question;
        matching::Verdict::abstain(NOTHING)
    }
}

/// Which parameters a client may pass, and whether its job is taken at all.
pub trait Parameters: Policy {
    fn filter(&self, question: &parameters::Question) -> parameters::Verdict {
        let _ = question;
        parameters::Verdict::abstain(NOTHING)
    }
}

/// Whether a node goes offline.
pub trait Offline: Policy {
    fn build_started(&self, request: &offline::Request) -> offline::StartVerdict {
        let _ = request;
        offline::StartVerdict::abstain(NOTHING)
    }

    fn build_ended(&self, request: &offline::Request, outcome: &offline::Outcome) -> offline::EndVerdict {
        let _ = (request, outcome);
        offline::EndVerdict::abstain(NOTHING)
    }
}

const NOTHING: &str = "it has nothing to say here";

/// Makes a [`Description`] of what stands in the policy's `Cargo.toml`, and of what it needs to see.
#[macro_export]
macro_rules! description {
    ($needs:expr) => {
        $crate::Description {
            name: env!("CARGO_PKG_NAME").into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: concat!(env!("CARGO_PKG_DESCRIPTION"), ".").into(),
            needs: $needs,
        }
    };
}

/// Exports a policy from its component: `export!(Lists: parameters, offline)`. Natively it does nothing.
#[macro_export]
macro_rules! export {
    ($policy:ty: $($hook:ident),+ $(,)?) => {
        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code, reason = "generated; memory crosses into the component here")]
        const _: () = {
            use $crate::bindings;

            struct Exported;

            static POLICY: $crate::Configured<$policy> = $crate::Configured::new();

            impl bindings::meta::exports::layshaft::policy::meta::Guest for Exported {
                fn describe() -> $crate::Description {
                    <$policy as $crate::Policy>::describe()
                }

                fn configure(settings: $crate::String) -> Result<(), $crate::String> {
                    POLICY.keep(<$policy as $crate::Policy>::configure(&settings))
                }
            }
            bindings::meta::export_meta!(Exported with_types_in $crate::bindings::meta);
            $($crate::export_hook!($policy, $hook);)+
        };
    };
}

/// One hook of [`export!`].
#[doc(hidden)]
#[macro_export]
macro_rules! export_hook {
    ($policy:ty, naming) => {
        impl bindings::naming::exports::layshaft::policy::naming::Guest for Exported {
            fn names(question: $crate::naming::Question) -> $crate::naming::Verdict {
                <$policy as $crate::Naming>::names(POLICY.get(), &question)
            }
        }
        bindings::naming::export_naming!(Exported with_types_in $crate::bindings::naming);
    };
    ($policy:ty, matching) => {
        impl bindings::matching::exports::layshaft::policy::matching::Guest for Exported {
            fn matches(question: $crate::matching::Question) -> $crate::matching::Verdict {
                <$policy as $crate::Matching>::matches(POLICY.get(), &question)
            }
        }
        bindings::matching::export_matching!(Exported with_types_in $crate::bindings::matching);
    };
    ($policy:ty, parameters) => {
        impl bindings::parameters::exports::layshaft::policy::parameters::Guest for Exported {
            fn filter(question: $crate::parameters::Question) -> $crate::parameters::Verdict {
                <$policy as $crate::Parameters>::filter(POLICY.get(), &question)
            }
        }
        bindings::parameters::export_parameters!(Exported with_types_in $crate::bindings::parameters);
    };
    ($policy:ty, offline) => {
        impl bindings::offline::exports::layshaft::policy::offline::Guest for Exported {
            fn build_started(request: $crate::offline::Request) -> $crate::offline::StartVerdict {
                <$policy as $crate::Offline>::build_started(POLICY.get(), &request)
            }

            fn build_ended(
                request: $crate::offline::Request,
                outcome: $crate::offline::Outcome,
            ) -> $crate::offline::EndVerdict {
                <$policy as $crate::Offline>::build_ended(POLICY.get(), &request, &outcome)
            }
        }
        bindings::offline::export_offline!(Exported with_types_in $crate::bindings::offline);
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Needs, Settings};

    struct Silent;

    impl Policy for Silent {
        fn describe() -> Description {
            description!(Needs::default())
        }

        fn configure(settings: &str) -> Result<Self, String> {
            Settings::read(settings)?.finish()?;
            Ok(Self)
        }
    }

    impl Naming for Silent {}
    impl Matching for Silent {}
    impl Parameters for Silent {}
    impl Offline for Silent {}

    #[test]
    fn what_a_policy_does_not_say_is_an_abstention() {
        let policy = Silent::configure("{}").ok().unwrap();
        assert_eq!(Silent::describe().name, "layshaft-policy-sdk");
        assert_eq!(policy.names(&naming::Question::default()).names, None);
        assert_eq!(policy.matches(&matching::Question::default()).answer, matching::Answer::Abstain);
        assert_eq!(policy.filter(&parameters::Question::default()).answer, parameters::Answer::Abstain);
        let request = offline::Request::default();
        assert_eq!(policy.build_started(&request).answer, offline::StartAnswer::Abstain);
        let outcome = offline::Outcome { build_result: offline::BuildResult::Failure, duration_ms: 1 };
        assert_eq!(policy.build_ended(&request, &outcome).answer, offline::EndAnswer::Abstain);
    }
}
