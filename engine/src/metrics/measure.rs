//! Measures: the parts that metrics are made of.
//!
//! A traversal of the facts puts amounts of measures at spots (a unit in a slice); a metric is a
//! [`Fold`](super::cell::Fold) of one or two measures. So `reply_rate` is the count
//! `DialoguesReplied` over the count `CustomerOpened`, for one employee and for a whole company.

/// How amounts of a measure come together in a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gather {
    /// Whole numbers are added.
    Sum,
    /// Whole numbers are added, those of one key once.
    SumOnce,
    /// Keys are counted, each once.
    Distinct,
    /// All values are kept, for percentiles.
    Values,
    /// Fractions are added in the order of the facts, and counted.
    Fractions,
    /// Whole numbers are added by a word.
    Words,
}

macro_rules! measures {
    ($($(#[$doc:meta])* $name:ident: $gather:ident,)*) => {
        /// One measure. Milliseconds where a duration is meant.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u16)]
        pub enum Measure {
            $($(#[$doc])* $name,)*
        }

        impl Measure {
            /// All measures, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// How its amounts come together.
            pub fn gather(self) -> Gather {
                match self {
                    $(Self::$name => Gather::$gather,)*
                }
            }
        }
    };
}

measures! {
    // Single chats (semantics 10.1).
    /// Customers by their first adder as of the end.
    FirstCustomers: Distinct,
    /// Customers added.
    CustomersNew: Distinct,
    /// Single dialogues in which the employee takes part.
    Dialogues: Sum,
    /// Those that he opened.
    DialoguesOpened: Sum,
    /// Those that the customer opened.
    DialoguesReplied: Sum,
    /// All that the customer opened.
    CustomerOpened: Sum,
    /// Those without a message of the employee.
    Unanswered: Sum,
    /// Effective ones among those in which he takes part.
    Effective: Sum,
    /// Effective ones with a first reply within 60 s.
    FirstReply1m: Sum,
    /// Effective ones with a first reply within 180 s.
    FirstReply3m: Sum,
    /// Effective, and the only effective one of their day.
    OnlyEffective24h: Sum,
    /// The same over their day and the next.
    OnlyEffective48h: Sum,
    /// Messages of both sides in the dialogues.
    DialogueMessages: Sum,
    /// Durations of the dialogues.
    DialogueTime: Sum,
    /// Messages sent in single external chats.
    MessagesSent: Sum,
    /// Durations of calls, a call once.
    CallTime: SumOnce,
    /// Reply intervals of the dialogues.
    Replies: Values,
    /// The same in working time.
    RepliesWorking: Values,
    /// First reply times of the dialogues replied.
    FirstReplies: Values,
    /// The same in working time.
    FirstRepliesWorking: Values,
    /// Per dialogue with a reply the mean of its intervals, those that are not zero.
    ReplyMeans: Fractions,
    /// The same in working time.
    ReplyMeansWorking: Fractions,
    /// Single timeouts.
    Timeouts: Sum,
    /// Their customers.
    TimeoutCustomers: Distinct,
    /// Timers that run at the end, single chats.
    OpenWaits: Sum,
    /// Relations due on the first of the days of `revisit.days`; the others follow in order.
    RevisitDue1: Sum,
    /// The second day.
    RevisitDue2: Sum,
    /// The third day.
    RevisitDue3: Sum,
    /// The fourth day.
    RevisitDue4: Sum,
    /// The fifth day.
    RevisitDue5: Sum,
    /// The sixth day.
    RevisitDue6: Sum,
    /// Those of them that were revisited, first day.
    RevisitDone1: Sum,
    /// The second day.
    RevisitDone2: Sum,
    /// The third day.
    RevisitDone3: Sum,
    /// The fourth day.
    RevisitDone4: Sum,
    /// The fifth day.
    RevisitDone5: Sum,
    /// The sixth day.
    RevisitDone6: Sum,

    // Groups (semantics 10.2).
    /// External groups by their responsible as of the end.
    GroupsOwned: Distinct,
    /// External groups by their members as of the end.
    GroupsIn: Distinct,
    /// External groups joined.
    GroupsJoined: Distinct,
    /// External groups spoken in.
    GroupsSpoken: Distinct,
    /// Group dialogues of members at their start, and of speakers.
    GroupDialogues: Sum,
    /// Those that a customer opened and in which the employee spoke after.
    GroupDialoguesReplied: Sum,
    /// Effective ones, whoever spoke.
    GroupEffective: Sum,
    /// Effective ones with the employee's first reply within 60 s.
    GroupFirstReply1m: Sum,
    /// Effective ones with the employee's first reply within 180 s.
    GroupFirstReply3m: Sum,
    /// Replied ones whose mean interval is at most 60 s.
    GroupReply1m: Sum,
    /// Replied ones whose mean interval is at most 180 s.
    GroupReply3m: Sum,
    /// Group dialogues in which the employee spoke.
    GroupDialoguesSpoken: Sum,
    /// Their durations.
    GroupDialogueTime: Sum,
    /// The employee's messages in them.
    GroupAnswers: Sum,
    /// All customers' messages in them.
    GroupQuestions: Sum,
    /// Messages sent in external groups.
    GroupMessagesSent: Sum,
    /// Durations of calls in external groups, a call once.
    GroupCallTime: SumOnce,
    /// Reply intervals on the employee's views.
    GroupReplies: Values,
    /// The same in working time.
    GroupRepliesWorking: Values,
    /// First reply times of the group dialogues replied.
    GroupFirstReplies: Values,
    /// The same in working time.
    GroupFirstRepliesWorking: Values,
    /// As `ReplyMeans`, on the employee's views.
    GroupReplyMeans: Fractions,
    /// The same in working time.
    GroupReplyMeansWorking: Fractions,
    /// Group timeouts that name the employee.
    GroupTimeouts: Sum,
    /// Their groups.
    GroupTimeoutGroups: Distinct,
    /// Group timeouts in groups for which he was responsible.
    OwnedGroupTimeouts: Sum,
    /// Their groups.
    OwnedGroupTimeoutGroups: Distinct,
    /// Timers that run at the end, groups.
    GroupOpenWaits: Sum,
    /// Business records written.
    BusinessRecords: Sum,
    /// Behaviours confirmed by review.
    ViolationsConfirmed: Sum,
}

impl Measure {
    /// Its place in tables over all measures.
    pub fn index(self) -> usize {
        self as usize
    }

    /// A revisit measure of the first day as that of the day at `place` (from 0); any other is
    /// itself.
    pub fn of_revisit_day(self, place: usize) -> Self {
        match self {
            Self::RevisitDue1 | Self::RevisitDone1 => {
                Self::ALL[self.index() + place.min(REVISIT_DAYS_MAX - 1)]
            }
            other => other,
        }
    }
}

/// Days that `revisit.days` may have: four by default and two more (semantics 7).
pub const REVISIT_DAYS_MAX: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_measure_stands_at_its_number() {
        for (at, measure) in Measure::ALL.iter().enumerate() {
            assert_eq!(measure.index(), at);
        }
        assert_eq!(
            Measure::RevisitDone1.of_revisit_day(5),
            Measure::RevisitDone6
        );
    }
}
