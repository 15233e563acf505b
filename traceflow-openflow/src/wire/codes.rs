//! One table for each small number space: names, numbers and both directions come from it.

/// An open enumeration: the numbers that are known have names, the rest is kept as `Other`.
macro_rules! codes {
    (
        $(#[$meta:meta])*
        $vis:vis $name:ident: $number:ty {
            $($(#[$doc:meta])* $variant:ident = $value:literal $text:literal,)+
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        $vis enum $name {
            $($(#[$doc])* $variant,)+
            /// A number that this crate has no name for.
            Other($number),
        }

        impl From<$number> for $name {
            fn from(number: $number) -> Self {
                match number {
                    $($value => Self::$variant,)+
                    other => Self::Other(other),
                }
            }
        }

        impl From<$name> for $number {
            fn from(code: $name) -> Self {
                match code {
                    $($name::$variant => $value,)+
                    $name::Other(other) => other,
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self {
                    $(Self::$variant => f.write_str($text),)+
                    Self::Other(other) => write!(f, "{other}"),
                }
            }
        }
    };
}

pub(crate) use codes;
