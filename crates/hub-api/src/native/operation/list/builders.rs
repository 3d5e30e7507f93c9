//! Operations of one form, which differ in what they are about.

use super::super::{Answer, Guard, Needs, Operation, OperationId, Verb};
use super::parameters::PAGE;

pub(super) const fn read(
    id: OperationId,
    path: &'static str,
    summary: &'static str,
    needs: Needs,
    answer: &'static str,
) -> Operation {
    Operation {
        id,
        verb: Verb::Get,
        path,
        summary,
        needs,
        query: &[],
        guard: Guard::Unguarded,
        request: None,
        answer: Answer::Ok(answer),
    }
}

pub(super) const fn listing(
    id: OperationId,
    path: &'static str,
    summary: &'static str,
    needs: Needs,
    answer: &'static str,
) -> Operation {
    Operation {
        query: PAGE,
        ..read(id, path, summary, needs, answer)
    }
}

pub(super) const fn create(
    id: OperationId,
    path: &'static str,
    summary: &'static str,
    needs: Needs,
    request: &'static str,
    answer: &'static str,
) -> Operation {
    Operation {
        verb: Verb::Post,
        request: Some(request),
        answer: Answer::Created(answer),
        ..read(id, path, summary, needs, answer)
    }
}

pub(super) const fn call(
    id: OperationId,
    path: &'static str,
    summary: &'static str,
    needs: Needs,
    request: &'static str,
    answer: &'static str,
) -> Operation {
    Operation {
        verb: Verb::Post,
        request: Some(request),
        ..read(id, path, summary, needs, answer)
    }
}

pub(super) const fn write(
    id: OperationId,
    verb: Verb,
    path: &'static str,
    summary: &'static str,
    needs: Needs,
    request: &'static str,
    answer: &'static str,
) -> Operation {
    Operation {
        verb,
        request: Some(request),
        guard: Guard::IfMatch,
        ..read(id, path, summary, needs, answer)
    }
}

pub(super) const fn delete(
    id: OperationId,
    path: &'static str,
    summary: &'static str,
) -> Operation {
    Operation {
        verb: Verb::Delete,
        guard: Guard::IfMatch,
        answer: Answer::NoContent,
        ..read(id, path, summary, Needs::Permission("RegistryWrite"), "")
    }
}

/// What becomes of a message that was received in a device's place.
pub(super) const fn settle(
    id: OperationId,
    verb: Verb,
    path: &'static str,
    summary: &'static str,
) -> Operation {
    Operation {
        verb,
        needs: Needs::Permission("DeviceConnect"),
        guard: Guard::Unguarded,
        ..delete(id, path, summary)
    }
}
