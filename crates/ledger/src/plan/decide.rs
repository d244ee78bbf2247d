//! Which session and photos are baselines, and what each photo should have: a pure function of the facts.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use cicatrix_model::{Reason, SessionKey};

use super::facts::{Facts, PhotoFact, RunFact, SessionFact};
use crate::State;
use crate::runs::{self, NO_BASELINE, Opening};

/// What there is to write.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Sessions that become, or are no longer, the baseline.
    pub(super) marks: Vec<(i64, bool)>,
    pub(super) retire: Vec<RunFact>,
    pub(super) tasks: Vec<Task>,
}

impl Plan {
    pub(super) fn is_empty(&self) -> bool {
        self.marks.is_empty() && self.retire.is_empty() && self.tasks.is_empty()
    }

    /// Which series a plan touches: of a view all sessions when its baseline session is among them.
    pub(super) fn touched<'a>(&self, facts: &'a Facts) -> BTreeMap<&'a str, Touched> {
        let moved: HashSet<i64> = self.marks.iter().map(|(session_id, _)| *session_id).collect();
        let mut touched: BTreeMap<&str, Touched> = BTreeMap::new();
        let photos = self.tasks.iter().map(|task| task.photo_id);
        let photos = photos.chain(self.retire.iter().map(|run| run.photo_id));
        for photo in photos.filter_map(|photo_id| facts.photo(photo_id)) {
            let Some(session) = facts.session(photo.session_id) else { continue };
            let entry = touched.entry(photo.view.as_str()).or_insert_with(|| Touched::Sessions(BTreeSet::new()));
            if session.is_baseline || moved.contains(&session.session_id) {
                *entry = Touched::All;
            } else if let Touched::Sessions(sessions) = entry {
                sessions.insert(session.session);
            }
        }
        if !moved.is_empty() {
            for photo in &facts.photos {
                touched.insert(photo.view.as_str(), Touched::All);
            }
        }
        touched
    }
}

#[derive(Debug)]
pub(super) enum Touched {
    All,
    Sessions(BTreeSet<SessionKey>),
}

#[derive(Debug)]
pub(super) struct Task {
    pub(super) photo_id: i64,
    pub(super) act: Act,
}

#[derive(Debug)]
pub(super) enum Act {
    Conclude { reason: Reason, detail: String },
    Create { baseline: i64, opening: Opening },
    Reopen { run_id: i64, opening: Opening },
    Release { run_id: i64 },
    Revive { run_id: i64 },
}

/// What a photo should have.
#[derive(Debug)]
enum Want {
    Verdict(Reason, String),
    /// To be read against this photo, which is itself for a baseline.
    Reading(i64),
    /// This run, which could not be made again.
    Keep(i64),
    /// It is gone, and has no result that counts.
    Nothing,
}

/// The session that all others are compared with, or why there is none.
#[derive(Debug)]
enum Baseline<'a> {
    Session(&'a SessionFact),
    None(Reason, String),
}

/// The baseline photo of a view.
#[derive(Debug)]
enum Pick<'a> {
    Photo(&'a PhotoFact),
    /// There are photos, but none of them can serve.
    Unusable,
    /// No photo with regions can serve. One without would measure the whole frame in their place.
    Undrawn,
    Missing,
}

/// What should be, less what is. Pure.
pub(super) fn decide(facts: &Facts) -> Plan {
    let baseline = baseline_of(&facts.counted());
    let chosen = match &baseline {
        Baseline::Session(session) => Some(session.session_id),
        Baseline::None(..) => None,
    };
    let mut plan = Plan::default();
    for session in &facts.sessions {
        let should = chosen == Some(session.session_id);
        if session.is_baseline != should {
            plan.marks.push((session.session_id, should));
        }
    }
    let mut kept: HashSet<i64> = HashSet::new();
    for photo in facts.photos.iter().filter(|photo| photo.is_current) {
        let wanted = if photo.is_gone { keep(facts, &baseline, photo) } else { want(facts, &baseline, photo) };
        let (kept_run, act) = match wanted {
            Want::Verdict(reason, detail) => conclude(facts, photo, reason, detail),
            Want::Reading(baseline_photo) => reading(facts, photo, baseline_photo),
            Want::Keep(run_id) => {
                let is_seen = facts.runs.iter().any(|run| run.run_id == run_id && run.is_current);
                (Some(run_id), (!is_seen).then_some(Act::Revive { run_id }))
            }
            Want::Nothing => (None, None),
        };
        kept.extend(kept_run);
        plan.tasks.extend(act.map(|act| Task { photo_id: photo.photo_id, act }));
    }
    let current = facts.runs.iter().filter(|run| run.is_current);
    plan.retire = current.filter(|run| !kept.contains(&run.run_id)).cloned().collect();
    plan
}

fn baseline_of<'a>(sessions: &[&'a SessionFact]) -> Baseline<'a> {
    if let Some(pinned) = sessions.iter().copied().find(|session| session.is_pinned) {
        return Baseline::Session(pinned);
    }
    let mut flagged: Vec<&SessionFact> = sessions.iter().copied().filter(|session| session.flagged).collect();
    if flagged.iter().any(|session| !session.is_gone) {
        flagged.retain(|session| !session.is_gone);
    }
    match flagged[..] {
        [session] => Baseline::Session(session),
        [] => earliest(sessions),
        _ => {
            let names: Vec<String> = flagged.iter().map(|session| session.session.to_string()).collect();
            let names = names.join(" and ");
            let detail = format!(
                "sessions {names} are all flagged as the baseline: take the flag out of all manifests but one and \
                 upload them again"
            );
            Baseline::None(Reason::DateConflict, detail)
        }
    }
}

fn earliest<'a>(sessions: &[&'a SessionFact]) -> Baseline<'a> {
    match sessions.iter().copied().min_by_key(|session| session.session) {
        Some(first) if first.sessions_before == 0 => Baseline::Session(first),
        Some(first) => {
            let detail = format!(
                "no session is flagged as the baseline, and {} treatments came before the earliest, {}",
                first.sessions_before, first.session
            );
            Baseline::None(Reason::BaselineMissing, detail)
        }
        None => Baseline::None(Reason::BaselineMissing, "there is no session".to_owned()),
    }
}

/// What becomes of a photo that is gone.
fn keep(facts: &Facts, baseline: &Baseline<'_>, photo: &PhotoFact) -> Want {
    if photo.is_elsewhere {
        return Want::Nothing;
    }
    let picked = match baseline {
        Baseline::Session(session) => pick(facts, session, &photo.view),
        Baseline::None(..) => Pick::Missing,
    };
    let kept = match picked {
        Pick::Photo(baseline) => facts.result_against(photo.photo_id, baseline),
        // Nothing is compared as long as there is no baseline.
        Pick::Unusable | Pick::Undrawn | Pick::Missing => facts.results(photo.photo_id).first().copied(),
    };
    kept.map_or(Want::Nothing, |run| Want::Keep(run.run_id))
}

fn want(facts: &Facts, baseline: &Baseline<'_>, photo: &PhotoFact) -> Want {
    if let Some((reason, detail)) = &photo.refused {
        return Want::Verdict(*reason, detail.clone());
    }
    if let Some((reason, detail)) = facts.session(photo.session_id).and_then(|session| session.problem.as_ref()) {
        return Want::Verdict(*reason, detail.clone());
    }
    let session = match baseline {
        Baseline::None(reason, detail) => return Want::Verdict(*reason, detail.clone()),
        Baseline::Session(session) => *session,
    };
    if session.session_id == photo.session_id && is_bad(facts.own_state(photo.photo_id)) {
        return Want::Reading(photo.photo_id);
    }
    match pick(facts, session, &photo.view) {
        Pick::Photo(baseline) if baseline.is_gone => match facts.result_against(photo.photo_id, baseline) {
            Some(run) => Want::Keep(run.run_id),
            None => Want::Verdict(
                Reason::BaselineMissing,
                format!("the baseline photo, {} of session {}, is no longer there", photo.view, session.session),
            ),
        },
        Pick::Photo(baseline) => Want::Reading(baseline.photo_id),
        Pick::Unusable => Want::Verdict(
            Reason::BaselineNotMeasurable,
            format!("no photo of {} in the baseline session {} can be measured", photo.view, session.session),
        ),
        Pick::Undrawn => Want::Verdict(
            Reason::BaselineNotMeasurable,
            format!(
                "no photo of {} that has regions in the baseline session {} can be measured: take that one again, or \
                 draw the regions on another shot",
                photo.view, session.session
            ),
        ),
        Pick::Missing => Want::Verdict(
            Reason::BaselineMissing,
            format!("the baseline session {} has no photo of {}", session.session, photo.view),
        ),
    }
}

fn pick<'a>(facts: &'a Facts, session: &SessionFact, view: &str) -> Pick<'a> {
    let of_view: Vec<&PhotoFact> = facts
        .photos
        .iter()
        .filter(|photo| photo.is_current && photo.session_id == session.session_id && photo.view == view)
        .collect();
    // A shot that is missing counts too: what the manifest draws on it is what the clinic wants measured.
    let are_drawn = of_view.iter().any(|photo| photo.has_regions);
    let mut shots: Vec<&PhotoFact> = of_view
        .into_iter()
        .filter(|photo| !matches!(&photo.refused, Some((reason, _)) if *reason == Reason::ViewMissing))
        .filter(|photo| !photo.is_gone || (!photo.is_elsewhere && facts.own_result(photo.photo_id).is_some()))
        .collect();
    // One that is there can be read against.
    shots.sort_by_key(|photo| (photo.is_gone, photo.shot));
    if shots.is_empty() {
        return Pick::Missing;
    }
    if session.problem.is_some() {
        return Pick::Unusable;
    }
    let usable = shots
        .into_iter()
        .filter(|photo| photo.has_regions || !are_drawn)
        .find(|photo| photo.refused.is_none() && !is_bad(facts.own_state(photo.photo_id)));
    match usable {
        Some(photo) => Pick::Photo(photo),
        None if are_drawn => Pick::Undrawn,
        None => Pick::Unusable,
    }
}

/// A baseline that ended so cannot be compared with.
fn is_bad(state: Option<State>) -> bool {
    matches!(state, Some(State::NotMeasurable | State::Quarantined | State::Failed))
}

/// The run that stays, if any, and what there is to do.
type Decided = (Option<i64>, Option<Act>);

fn conclude(facts: &Facts, photo: &PhotoFact, reason: Reason, detail: String) -> Decided {
    let run = facts.run(photo.photo_id, NO_BASELINE);
    let is_told = run.is_some_and(|run| {
        run.is_current
            && run.state == State::of(reason)
            && run.reason.as_deref() == Some(reason.code())
            && run.detail.as_deref() == Some(runs::shortened(&detail).as_str())
    });
    let act = (!is_told).then_some(Act::Conclude { reason, detail });
    (run.map(|run| run.run_id), act)
}

fn reading(facts: &Facts, photo: &PhotoFact, baseline: i64) -> Decided {
    let opening =
        if photo.photo_id == baseline { Opening::Ready } else { Opening::of_follower(facts.own_state(baseline)) };
    let Some(run) = facts.run(photo.photo_id, baseline) else {
        return (None, Some(Act::Create { baseline, opening }));
    };
    let run_id = run.run_id;
    let was_lost = matches!(run.reason.as_deref(), Some(reason)
        if reason == Reason::ViewMissing.code() || reason == Reason::BaselineMissing.code());
    let act = match run.state {
        // It ended because an object was gone, and was replaced by a verdict that says so; now the object is back.
        State::NotMeasurable if was_lost && !run.is_current => Some(Act::Reopen { run_id, opening }),
        State::Superseded => Some(Act::Reopen { run_id, opening }),
        State::WaitingForBaseline if opening == Opening::Ready => Some(Act::Release { run_id }),
        _ if !run.is_current => Some(Act::Revive { run_id }),
        _ => None,
    };
    (Some(run_id), act)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(id: i64, key: &str) -> SessionFact {
        SessionFact {
            session_id: id,
            session: key.parse().unwrap(),
            flagged: false,
            is_pinned: false,
            is_baseline: false,
            is_gone: false,
            sessions_before: 0,
            problem: None,
        }
    }

    fn photo(id: i64, session_id: i64, shot: u16) -> PhotoFact {
        let view = "face.frontal".to_owned();
        PhotoFact {
            photo_id: id,
            session_id,
            view,
            shot,
            is_current: true,
            is_gone: false,
            is_elsewhere: false,
            content: None,
            drawn: String::new(),
            has_regions: false,
            refused: None,
        }
    }

    fn run(id: i64, photo_id: i64, baseline_photo_id: i64, state: State) -> RunFact {
        RunFact {
            run_id: id,
            photo_id,
            baseline_photo_id,
            same_settings: true,
            protocol: "d1".to_owned(),
            is_current: true,
            state,
            reason: None,
            detail: None,
            job_id: Some(id),
        }
    }

    fn course() -> Facts {
        Facts {
            sessions: vec![session(1, "2026-01-01-01"), session(2, "2026-02-01-01")],
            photos: vec![photo(10, 1, 1), photo(11, 1, 2), photo(20, 2, 1)],
            runs: Vec::new(),
            protocol: "d1".to_owned(),
        }
    }

    fn acts(facts: &Facts) -> Vec<String> {
        decide(facts).tasks.iter().map(|task| format!("{} {:?}", task.photo_id, task.act)).collect()
    }

    #[test]
    fn all_photos_are_read_against_the_first_shot_of_the_earliest_session() {
        let acts = acts(&course());
        assert_eq!(
            acts,
            [
                "10 Create { baseline: 10, opening: Ready }",
                "11 Create { baseline: 10, opening: Waiting }",
                "20 Create { baseline: 10, opening: Waiting }",
            ]
        );
    }

    #[test]
    fn the_second_shot_takes_over_from_a_bad_first_one() {
        let mut facts = course();
        facts.sessions[0].is_baseline = true;
        facts.runs = vec![
            run(1, 10, 10, State::NotMeasurable),
            run(2, 11, 10, State::WaitingForBaseline),
            run(3, 20, 10, State::WaitingForBaseline),
        ];
        let plan = decide(&facts);
        assert_eq!(plan.retire.iter().map(|run| run.run_id).collect::<Vec<_>>(), [2, 3]);
        assert_eq!(
            acts(&facts),
            ["11 Create { baseline: 11, opening: Ready }", "20 Create { baseline: 11, opening: Waiting }"]
        );
    }

    #[test]
    fn a_shot_with_regions_goes_before_one_without() {
        let mut facts = course();
        facts.photos[1].has_regions = true;
        assert_eq!(
            acts(&facts),
            [
                "10 Create { baseline: 11, opening: Waiting }",
                "11 Create { baseline: 11, opening: Ready }",
                "20 Create { baseline: 11, opening: Waiting }",
            ]
        );
    }

    #[test]
    fn a_shot_without_regions_does_not_take_over_from_one_that_has_them() {
        let mut facts = course();
        facts.sessions[0].is_baseline = true;
        facts.photos[0].has_regions = true;
        let concluded = |facts: &Facts| {
            let tasks = decide(facts).tasks;
            let ends = tasks.into_iter().filter_map(|task| match task.act {
                Act::Conclude { reason, .. } => Some((task.photo_id, reason)),
                _ => None,
            });
            ends.collect::<Vec<_>>()
        };
        facts.runs = vec![run(1, 10, 10, State::Quarantined)];
        let expected = [(11, Reason::BaselineNotMeasurable), (20, Reason::BaselineNotMeasurable)];
        assert_eq!(concluded(&facts), expected);

        facts.runs.clear();
        facts.photos[0].refused = Some((Reason::ViewMissing, "not there".to_owned()));
        assert_eq!(concluded(&facts), [(10, Reason::ViewMissing), expected[0], expected[1]]);
    }

    #[test]
    fn a_session_that_a_person_chose_goes_before_a_flag() {
        let mut facts = course();
        facts.sessions[0].flagged = true;
        facts.sessions[1].is_pinned = true;
        assert_eq!(acts(&facts)[2], "20 Create { baseline: 20, opening: Ready }");
    }

    #[test]
    fn a_plan_that_was_carried_out_is_empty() {
        let mut facts = course();
        facts.sessions[0].is_baseline = true;
        facts.runs =
            vec![run(1, 10, 10, State::Measured), run(2, 11, 10, State::Running), run(3, 20, 10, State::Measured)];
        assert!(decide(&facts).is_empty());
    }

    #[test]
    fn a_photo_that_was_replaced_retires_its_run() {
        let mut facts = course();
        facts.photos[2].is_current = false;
        facts.runs = vec![run(3, 20, 10, State::Running)];
        assert_eq!(decide(&facts).retire[0].run_id, 3);
    }
}
