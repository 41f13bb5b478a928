//! The packets of the Gearman protocol, from one table.
//!
//! Names, numbers and arguments are those of gearmand's PROTOCOL document; where that and the wire differ, the wire
//! (libgearman/command.cc) wins. Arguments are separated by NUL, so that only the last one may hold a NUL itself.

use std::fmt;

use bytes::Bytes;

/// The longest argument that is shown in full; names are shorter than this on every server.
const SHOWN: usize = 512;

/// Who sends a packet: `\0REQ` goes to the server, `\0RES` comes from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Magic {
    Request,
    Response,
}

impl Magic {
    pub(super) const fn bytes(self) -> &'static [u8; 4] {
        match self {
            Self::Request => b"\0REQ",
            Self::Response => b"\0RES",
        }
    }
}

macro_rules! packet_kinds {
    ($($kind:ident = $number:literal, $name:literal, [$($argument:literal),*];)*) => {
        /// A packet's type.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u32)]
        pub enum Kind {
            $($kind = $number,)*
        }

        impl Kind {
            /// Every kind, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            /// Returns the kind with that number on the wire.
            pub const fn from_number(number: u32) -> Option<Self> {
                match number {
                    $($number => Some(Self::$kind),)*
                    _ => None,
                }
            }

            /// Returns the name that the protocol's document uses.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }

            /// Returns what each argument means, in order.
            pub const fn arguments(self) -> &'static [&'static str] {
                match self {
                    $(Self::$kind => &[$($argument),*],)*
                }
            }
        }
    };
}

packet_kinds! {
    CanDo = 1, "CAN_DO", ["function"];
    CantDo = 2, "CANT_DO", ["function"];
    ResetAbilities = 3, "RESET_ABILITIES", [];
    PreSleep = 4, "PRE_SLEEP", [];
    Unused = 5, "(unused)", [];
    Noop = 6, "NOOP", [];
    SubmitJob = 7, "SUBMIT_JOB", ["function", "unique", "payload"];
    JobCreated = 8, "JOB_CREATED", ["handle"];
    GrabJob = 9, "GRAB_JOB", [];
    NoJob = 10, "NO_JOB", [];
    JobAssign = 11, "JOB_ASSIGN", ["handle", "function", "payload"];
    WorkStatus = 12, "WORK_STATUS", ["handle", "numerator", "denominator"];
    WorkComplete = 13, "WORK_COMPLETE", ["handle", "data"];
    WorkFail = 14, "WORK_FAIL", ["handle"];
    GetStatus = 15, "GET_STATUS", ["handle"];
    EchoReq = 16, "ECHO_REQ", ["data"];
    EchoRes = 17, "ECHO_RES", ["data"];
    SubmitJobBg = 18, "SUBMIT_JOB_BG", ["function", "unique", "payload"];
    Error = 19, "ERROR", ["code", "text"];
    StatusRes = 20, "STATUS_RES", ["handle", "known", "running", "numerator", "denominator"];
    SubmitJobHigh = 21, "SUBMIT_JOB_HIGH", ["function", "unique", "payload"];
    SetClientId = 22, "SET_CLIENT_ID", ["client id"];
    CanDoTimeout = 23, "CAN_DO_TIMEOUT", ["function", "timeout"];
    AllYours = 24, "ALL_YOURS", [];
    WorkException = 25, "WORK_EXCEPTION", ["handle", "data"];
    OptionReq = 26, "OPTION_REQ", ["option"];
    OptionRes = 27, "OPTION_RES", ["option"];
    WorkData = 28, "WORK_DATA", ["handle", "data"];
    WorkWarning = 29, "WORK_WARNING", ["handle", "data"];
    GrabJobUniq = 30, "GRAB_JOB_UNIQ", [];
    JobAssignUniq = 31, "JOB_ASSIGN_UNIQ", ["handle", "function", "unique", "payload"];
    SubmitJobHighBg = 32, "SUBMIT_JOB_HIGH_BG", ["function", "unique", "payload"];
    SubmitJobLow = 33, "SUBMIT_JOB_LOW", ["function", "unique", "payload"];
    SubmitJobLowBg = 34, "SUBMIT_JOB_LOW_BG", ["function", "unique", "payload"];
    SubmitJobSched = 35, "SUBMIT_JOB_SCHED", ["function", "unique", "minute", "hour", "day of month", "month", "day of week", "payload"];
    SubmitJobEpoch = 36, "SUBMIT_JOB_EPOCH", ["function", "unique", "epoch", "payload"];
    // PROTOCOL lists four arguments; libgearman and gearmand put an unused one before the payload.
    SubmitReduceJob = 37, "SUBMIT_REDUCE_JOB", ["function", "unique", "reducer", "unused", "payload"];
    SubmitReduceJobBackground = 38, "SUBMIT_REDUCE_JOB_BACKGROUND", ["function", "unique", "reducer", "unused", "payload"];
    GrabJobAll = 39, "GRAB_JOB_ALL", [];
    JobAssignAll = 40, "JOB_ASSIGN_ALL", ["handle", "function", "unique", "reducer", "payload"];
    GetStatusUnique = 41, "GET_STATUS_UNIQUE", ["unique"];
    StatusResUnique = 42, "STATUS_RES_UNIQUE", ["unique", "known", "running", "numerator", "denominator", "client count"];
}

/// One packet: magic, kind, and as many arguments as the kind has.
#[derive(Clone, PartialEq, Eq)]
pub struct Packet {
    pub magic: Magic,
    pub kind: Kind,
    arguments: Vec<Bytes>,
}

impl Packet {
    /// Makes a packet.
    ///
    /// The number of arguments is the caller's to get right: it is fixed by the kind, never by data.
    pub fn new<const N: usize>(magic: Magic, kind: Kind, arguments: [Bytes; N]) -> Self {
        debug_assert_eq!(N, kind.arguments().len(), "{}", kind.name());
        Self { magic, kind, arguments: arguments.into() }
    }

    pub fn request<const N: usize>(kind: Kind, arguments: [Bytes; N]) -> Self {
        Self::new(Magic::Request, kind, arguments)
    }

    pub fn response<const N: usize>(kind: Kind, arguments: [Bytes; N]) -> Self {
        Self::new(Magic::Response, kind, arguments)
    }

    pub(super) fn from_parts(magic: Magic, kind: Kind, arguments: Vec<Bytes>) -> Self {
        debug_assert_eq!(arguments.len(), kind.arguments().len(), "{}", kind.name());
        Self { magic, kind, arguments }
    }

    /// Returns an argument by its place; the kind says how many there are.
    pub fn argument(&self, index: usize) -> &Bytes {
        &self.arguments[index]
    }

    pub fn arguments(&self) -> &[Bytes] {
        &self.arguments
    }
}

impl fmt::Debug for Packet {
    /// Shows lengths instead of long or binary arguments: payloads can hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind.name())?;
        for (name, argument) in self.kind.arguments().iter().zip(&self.arguments) {
            match *name {
                "payload" | "data" => write!(f, " {name}={} bytes", argument.len())?,
                _ if argument.len() > SHOWN => write!(f, " {name}={} bytes", argument.len())?,
                _ => write!(f, " {name}={:?}", String::from_utf8_lossy(argument))?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    #[test]
    fn table_has_the_names_and_arguments_of_the_protocol() {
        let table: String = Kind::ALL
            .iter()
            .map(|kind| {
                format!("{} {} {}\n", *kind as u32, kind.name(), kind.arguments().join("|")).replace(" \n", "\n")
            })
            .collect();
        expect![[r#"
            1 CAN_DO function
            2 CANT_DO function
            3 RESET_ABILITIES
            4 PRE_SLEEP
            5 (unused)
            6 NOOP
            7 SUBMIT_JOB function|unique|payload
            8 JOB_CREATED handle
            9 GRAB_JOB
            10 NO_JOB
            11 JOB_ASSIGN handle|function|payload
            12 WORK_STATUS handle|numerator|denominator
            13 WORK_COMPLETE handle|data
            14 WORK_FAIL handle
            15 GET_STATUS handle
            16 ECHO_REQ data
            17 ECHO_RES data
            18 SUBMIT_JOB_BG function|unique|payload
            19 ERROR code|text
            20 STATUS_RES handle|known|running|numerator|denominator
            21 SUBMIT_JOB_HIGH function|unique|payload
            22 SET_CLIENT_ID client id
            23 CAN_DO_TIMEOUT function|timeout
            24 ALL_YOURS
            25 WORK_EXCEPTION handle|data
            26 OPTION_REQ option
            27 OPTION_RES option
            28 WORK_DATA handle|data
            29 WORK_WARNING handle|data
            30 GRAB_JOB_UNIQ
            31 JOB_ASSIGN_UNIQ handle|function|unique|payload
            32 SUBMIT_JOB_HIGH_BG function|unique|payload
            33 SUBMIT_JOB_LOW function|unique|payload
            34 SUBMIT_JOB_LOW_BG function|unique|payload
            35 SUBMIT_JOB_SCHED function|unique|minute|hour|day of month|month|day of week|payload
            36 SUBMIT_JOB_EPOCH function|unique|epoch|payload
            37 SUBMIT_REDUCE_JOB function|unique|reducer|unused|payload
            38 SUBMIT_REDUCE_JOB_BACKGROUND function|unique|reducer|unused|payload
            39 GRAB_JOB_ALL
            40 JOB_ASSIGN_ALL handle|function|unique|reducer|payload
            41 GET_STATUS_UNIQUE unique
            42 STATUS_RES_UNIQUE unique|known|running|numerator|denominator|client count
        "#]]
        .assert_eq(&table);
    }

    #[test]
    fn every_number_has_its_kind_and_no_other_has_one() {
        let numbers: Vec<u32> = Kind::ALL.iter().map(|kind| *kind as u32).collect();
        assert_eq!(numbers, (1..=42).collect::<Vec<_>>());
        for &kind in Kind::ALL {
            assert_eq!(Kind::from_number(kind as u32), Some(kind));
        }
        for number in [0, 43, 999, u32::MAX] {
            assert_eq!(Kind::from_number(number), None);
        }
    }

    #[test]
    fn debug_output_shows_names_and_never_a_payload() {
        fn check(packet: &Packet, expected: Expect) {
            expected.assert_eq(&format!("{packet:?}"));
        }
        let handle = Bytes::from_static(b"H:box:1");
        check(
            &Packet::response(Kind::JobAssign, [handle.clone(), "build:a\n".into(), "{\"token\":\"s3cret\"}".into()]),
            expect![[r#"JOB_ASSIGN handle="H:box:1" function="build:a\n" payload=18 bytes"#]],
        );
        check(
            &Packet::request(Kind::WorkException, [handle, "s3cret".into()]),
            expect![[r#"WORK_EXCEPTION handle="H:box:1" data=6 bytes"#]],
        );
        check(&Packet::request(Kind::CanDo, [vec![b'x'; 5000].into()]), expect!["CAN_DO function=5000 bytes"]);
    }
}
