//! What operations are told, one word each.

use std::fmt;
use std::str::FromStr;

/// Declares an enumeration whose variants have one word each.
macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name { $($(#[$doc])* $variant,)* }

        impl $name {
            /// All of them.
            pub const ALL: &'static [$name] = &[$($name::$variant,)*];
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(match self { $($name::$variant => $word,)* })
            }
        }

        impl FromStr for $name {
            type Err = ();
            fn from_str(word: &str) -> Result<Self, ()> {
                match word { $($word => Ok($name::$variant),)* _ => Err(()) }
            }
        }
    };
}

words! {
    /// Where a branch is moved to.
    To {
        /// A new commit on top of it.
        New = "new",
        /// An earlier commit of it, by force.
        Older = "older",
        /// Where it is already: nothing but a delivery happens.
        Same = "same",
    }
}

words! {
    /// What becomes of the delivery that tells of a push.
    Hook {
        /// It arrives.
        Delivered = "delivered",
        /// It never arrives.
        Lost = "lost",
        /// It arrives three times.
        Repeated = "repeated",
        /// It arrives after those of later operations.
        Late = "late",
        /// It arrives with the signature of somebody who does not know the secret.
        MisSigned = "mis-signed",
    }
}

words! {
    /// Kinds of objects in a bundle.
    Kind {
        /// A ConfigMap.
        ConfigMap = "configmap",
        /// A Secret.
        Secret = "secret",
        /// A Service without an address.
        Service = "service",
        /// A ServiceAccount.
        ServiceAccount = "serviceaccount",
    }
}

words! {
    /// Objects that every environment has, for edits by hand.
    Target {
        /// ConfigMap `settings`.
        Settings = "settings",
        /// Secret `keys`.
        Keys = "keys",
        /// Deployment `web`.
        Web = "web",
        /// ServiceAccount `web`, under which the Deployment's pods run.
        Account = "account",
        /// The ResourceQuota of the guardrails.
        Quota = "quota",
        /// The RoleBinding without which nothing can be applied.
        Binding = "binding",
    }
}

words! {
    /// What the connection to the API server does to a request.
    FaultKind {
        /// The request never arrives.
        DropBefore = "drop-before",
        /// The request is carried out and the answer never arrives.
        DropAfter = "drop-after",
        /// 409 instead of the server.
        Conflict = "409",
        /// 429 with Retry-After of one second.
        TooMany = "429",
        /// 500.
        Internal = "500",
        /// 503.
        Unavailable = "503",
        /// 504.
        Timeout = "504",
        /// The answer ends in the middle.
        CutBody = "cut-body",
        /// A read is answered as of some time ago.
        Stale = "stale",
        /// A watch loses an event.
        Swallow = "swallow",
        /// A watch ends after a second.
        CutWatch = "cut-watch",
        /// The request takes a second longer.
        Delay = "delay",
    }
}

words! {
    /// Which requests a fault is for.
    Place {
        /// Everything that changes something.
        Writes = "writes",
        /// Everything that does not.
        Reads = "reads",
        /// Watches.
        Watches = "watches",
        /// Environments and their status.
        Environments = "environments",
        /// Namespaces.
        Namespaces = "namespaces",
        /// ConfigMaps.
        ConfigMaps = "configmaps",
        /// Deployments.
        Deployments = "deployments",
    }
}
