//! The macro that makes [`Element`](crate::Element) from the rows of the table.

/// Makes [`Element`](crate::Element) from its rows. A row is
///
/// ```text
/// Name = number [of enterprise], "IANA name", "key in documents", Form [length of a text]
///     [, flow_key KeyField] [, flow |flow| value] [, exporter |state| value]
///     [, read |into, value| what is done with a received value]
///     [, options |into, value| the same, if the element is read in options only];
/// ```
macro_rules! elements {
    ($(
        $(#[$attribute:meta])*
        $element:ident = $number:literal $(of $enterprise:ident)?,
        $name:literal, $key:literal, $form:ident $([$length:literal])?
        $(, flow_key $key_field:ident)?
        $(, flow |$flow:ident| $of_flow:expr)?
        $(, exporter |$state:ident| $of_exporter:expr)?
        $(, read |$into:ident, $value:ident| $read:expr)?
        $(, options |$of_options:ident, $told:ident| $read_told:expr)?;
    )*) => {
        /// An Information Element that is exported, collected, or both.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Element {
            $(#[doc = concat!("`", $name, "`.")] $(#[$attribute])* $element),*
        }

        impl Element {
            /// All elements.
            pub const ALL: &[Self] = &[$(Self::$element),*];

            /// The number in the registry of IANA or of the enterprise.
            pub const fn number(self) -> u16 {
                match self { $(Self::$element => $number),* }
            }

            /// The Private Enterprise Number of an enterprise's element; `None` for IANA.
            pub const fn enterprise(self) -> Option<u32> {
                match self { $(Self::$element => optional!($($enterprise)?)),* }
            }

            /// The name in the registry.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$element => $name),* }
            }

            /// The name in the `netflow` object of documents, as in Filebeat.
            pub const fn key(self) -> &'static str {
                match self { $(Self::$element => $key),* }
            }

            /// The name as a member of a JSON object after another one: `,"key":`.
            #[inline(always)]
            pub const fn label(self) -> &'static [u8] {
                match self { $(Self::$element => concat!(",\"", $key, "\":").as_bytes()),* }
            }

            /// The name of the field in documents of options records.
            pub const fn options_field(self) -> &'static str {
                match self { $(Self::$element => concat!("netflow.options.", $key)),* }
            }

            /// The same for a scope of options records.
            pub const fn scope_field(self) -> &'static str {
                match self { $(Self::$element => concat!("netflow.scope.", $key)),* }
            }

            /// The form of its values.
            pub const fn form(self) -> Form {
                match self { $(Self::$element => Form::$form),* }
            }

            /// Octets of a value, or [`VARIABLE_LENGTH`](crate::VARIABLE_LENGTH).
            pub const fn length(self) -> u16 {
                const fn row(form: Form, length: &[u16]) -> u16 {
                    if let [length] = length { *length } else { form.length() }
                }
                match self { $(Self::$element => row(Form::$form, &[$($length)?])),* }
            }

            /// The field of the flow key that it contains, if any.
            #[inline(always)]
            pub const fn key_field(self) -> Option<KeyField> {
                match self { $(Self::$element => optional!($(KeyField::$key_field)?)),* }
            }

            /// The value of a flow; `None` if the element does not describe flows.
            #[inline(always)]
            pub fn of_flow<'a>(self, flow: &Flow<'a>) -> Option<Value<'a>> {
                match self {
                    $(Self::$element => optional!($({
                        let $flow = flow;
                        Value::$form($of_flow)
                    })?)),*
                }
            }

            /// The value of the Exporting Process; `None` if the element does not describe it.
            pub(crate) fn of_exporter<'a>(self, state: &ExporterState<'a>) -> Option<Value<'a>> {
                match self {
                    $(Self::$element => optional!($({
                        let $state = state;
                        Value::$form($of_exporter)
                    })?)),*
                }
            }

            /// Reads a received value. Does nothing if the element is not collected.
            #[inline]
            pub fn read(self, value: Received<'_>, into: &mut Reading) {
                match self {
                    $(Self::$element => {
                        $({
                            let ($into, $value) = (into, value);
                            $read;
                        })?
                        $({
                            let ($of_options, $told) = (into, value);
                            $read_told;
                        })?
                    }),*
                }
            }

            /// True if the element is collected.
            pub const fn is_read(self) -> bool {
                match self { $(Self::$element => is_present!($($into)? $($of_options)?)),* }
            }

            /// True if the element is read in options only.
            pub const fn is_of_options(self) -> bool {
                match self { $(Self::$element => is_present!($($of_options)?)),* }
            }

            /// True if the element describes flows.
            pub const fn describes_flows(self) -> bool {
                match self { $(Self::$element => is_present!($($flow)?)),* }
            }

            /// True if the element describes the Exporting Process.
            pub const fn describes_exporter(self) -> bool {
                match self { $(Self::$element => is_present!($($state)?)),* }
            }
        }
    };
}

macro_rules! optional {
    () => {
        None
    };
    ($value:expr) => {
        Some($value)
    };
}

macro_rules! is_present {
    () => {
        false
    };
    ($part:ident) => {
        true
    };
}

pub(crate) use {elements, is_present, optional};
