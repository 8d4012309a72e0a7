//! One list a family makes everything that is said about its drivers.

/// Makes the enum of a driver family from a list of `"name" Variant(module)`, with
/// `if "feature"` where a driver needs one: parsing (a mapping with one key, so that errors keep
/// their line), the table of drivers, and `open`.
macro_rules! family {
    (
        $(#[$doc:meta])*
        $enum:ident: $trait:ident($cx:ty) => $out:ty, $family:literal {
            $($name:literal $variant:ident($($module:ident)::+) $(if $feature:literal)?),+ $(,)?
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, ::serde::Serialize, ::schemars::JsonSchema)]
        pub enum $enum {
            $(
                #[allow(missing_docs, reason = "the settings' own doc comment says it")]
                #[serde(rename = $name)]
                $variant($($module)::+::Conf),
            )+
        }

        // As a mapping with one key, wherever it stands: also within maps and options.
        impl<'de> ::serde::Deserialize<'de> for $enum {
            fn deserialize<D: ::serde::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
                #[derive(::serde::Deserialize)]
                enum Written {
                    $(#[serde(rename = $name)] $variant($($module)::+::Conf),)+
                }
                Ok(match ::serde_yaml::with::singleton_map::deserialize(input)? {
                    $(Written::$variant(conf) => Self::$variant(conf),)+
                })
            }
        }

        impl $enum {
            /// The names of the drivers.
            pub const NAMES: &'static [&'static str] = &[$($name),+];

            /// What is known of each driver.
            pub fn list() -> Vec<$crate::info::DriverInfo> {
                vec![$($crate::info::DriverInfo {
                    family: $family,
                    name: $name,
                    doc: $crate::info::doc_of::<$($module)::+::Conf>(),
                    options: $crate::info::options_of::<$($module)::+::Conf>(),
                    feature: $crate::registry::needs!($($feature)?),
                    built: $crate::registry::built!($($feature)?),
                }),+]
            }

            /// The driver's name.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $name,)+
                }
            }

            /// Finds what is wrong with the settings without touching the hardware.
            pub fn check(&self) -> Result<(), $crate::wiring::WiringProblem> {
                match self {
                    $(Self::$variant(conf) => $trait::check(conf),)+
                }
                .map_err(|problem| problem.within(self.name()))
            }

            /// Opens the hardware.
            pub async fn open(&self, cx: $cx, by: &::shakedown_core::Deadline) -> ::shakedown_core::Rig<$out> {
                match self {
                    $(Self::$variant(conf) => {
                        $crate::registry::open!($name, conf, $trait, cx, by $(, $feature)?)
                    })+
                }
            }
        }
    };
}

macro_rules! needs {
    () => {
        None
    };
    ($feature:literal) => {
        Some($feature)
    };
}

macro_rules! built {
    () => {
        true
    };
    ($feature:literal) => {
        cfg!(feature = $feature)
    };
}

macro_rules! open {
    ($name:literal, $conf:ident, $trait:ident, $cx:ident, $by:ident) => {
        $trait::open($conf, $cx, $by).await
    };
    ($name:literal, $conf:ident, $trait:ident, $cx:ident, $by:ident, $feature:literal) => {{
        #[cfg(feature = $feature)]
        {
            $trait::open($conf, $cx, $by).await
        }
        #[cfg(not(feature = $feature))]
        {
            let _ = ($conf, $cx, $by);
            Err($crate::registry::not_built($name, $feature))
        }
    }};
}

pub(crate) use {built, family, needs, open};

/// The fault of a driver that this binary was built without.
#[cfg_attr(
    all(feature = "probe", feature = "rppal", not(test)),
    expect(dead_code, reason = "this build has every driver")
)]
pub(crate) fn not_built(name: &str, feature: &str) -> shakedown_core::Fault {
    shakedown_core::Fault::new(shakedown_core::InfraKind::Config, name, "open", "a driver")
        .expected(format!("a build with the feature `{feature}`"), "one without it")
        .hint(format!("build with `--features {feature}`"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};
    use shakedown_core::{Deadline, Fut, Pace, RealClock, Rig};
    use tokio_util::sync::CancellationToken;

    use crate::wiring::WiringProblem;

    trait TestConf {
        fn check(&self) -> Result<(), WiringProblem> {
            Ok(())
        }
        fn open<'a>(&'a self, cx: u8, by: &'a Deadline) -> Fut<'a, Rig<u8>>;
    }

    mod plain {
        use super::{Deadline, Deserialize, Fut, JsonSchema, Rig, Serialize, TestConf};

        /// Adds.
        #[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub(super) struct Conf {
            /// This.
            pub(super) add: u8,
        }

        impl TestConf for Conf {
            fn open<'a>(&'a self, cx: u8, _by: &'a Deadline) -> Fut<'a, Rig<u8>> {
                Box::pin(async move { Ok(cx + self.add) })
            }
        }
    }

    mod probe {
        pub(super) use super::plain::Conf;
    }

    #[expect(
        unexpected_cfgs,
        unreachable_pub,
        reason = "a feature that is never built, in a family that nobody sees"
    )]
    mod made {
        use super::*;
        family! {
            /// For this test.
            TestDriver: TestConf(u8) => u8, "tests" {
                "plain" Plain(plain),
                "probe" Probe(probe) if "never-built",
            }
        }
    }

    #[tokio::test]
    async fn a_driver_that_was_not_built_parses_and_says_so() {
        let by = Deadline::new(
            "test",
            std::time::Duration::from_secs(1),
            Pace::Rig,
            Arc::clone(&RealClock::start()) as Arc<dyn shakedown_core::Clock>,
            CancellationToken::new(),
        );
        let parse = |text: &str| serde_yaml::from_str::<made::TestDriver>(text);
        assert_eq!(parse("plain: { add: 2 }").unwrap().open(1, &by).await, Ok(3));
        let probe = parse("probe: { add: 2 }").unwrap();
        assert!(probe.check().is_ok());
        let fault = probe.open(1, &by).await.unwrap_err();
        assert_eq!(fault.hint.as_deref(), Some("build with `--features never-built`"));
        let list = made::TestDriver::list();
        assert_eq!((list[0].built, list[1].built, list[0].doc.as_str()), (true, false, "Adds."));
        assert_eq!(made::TestDriver::NAMES, ["plain", "probe"]);
    }
}
