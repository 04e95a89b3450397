#include "scanner/formats/pickle/pickle.hpp"

#include "scanner/formats/pickle/machine.hpp"
#include "scanner/formats/pickle/walk.hpp"

#include <vector>

namespace hubgate {
namespace pickle {
namespace {

/// Opcodes without a contradiction after which bytes without a header count as a pickle: neither
/// text nor tensors come that far.
constexpr std::size_t k_convincing = 64;
/// And with an import among them: two lines of text are one import.
constexpr std::size_t k_few = 4;

// torch.save() before 1.6 begins with its magic number as a pickle of its own; raw storages follow
// the fifth pickle (scanner/formats/pytorch accounts for them).
constexpr std::string_view
    k_torch_legacy("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 15);

std::vector<std::uint8_t> head_at(Source& source, std::uint64_t offset) {
  const Bytes head = source.view(offset, Probe::k_head);
  return {head.begin(), head.end()};
}

bool only_blank(Source& source, std::uint64_t from) {
  constexpr std::size_t k_step = std::size_t{64} << 10;
  for (;;) {
    const Bytes piece = source.view(from, k_step);
    if (piece.empty()) return true;
    for (const std::uint8_t c: piece)
      if (c != 0 && c != ' ' && c != '\n' && c != '\r' && c != '\t') return false;
    from += piece.size();
  }
}

// Runs what may be pickles from `begin` on until one calls something. `settled` is where that one
// begins: what lies before it need not be asked again.
bool acts_later(Source& source, Session& session, std::uint64_t begin, std::uint64_t& settled) {
  Machine machine(source, session, {.reports = Options::Reports::none}, nullptr);
  for (;;) {
    // Out of time is for the scan itself to say, which it does when the bytes are claimed.
    if (!session.budget().time_left()) return true;
    const Machine::Outcome outcome = machine.run(begin);
    settled = begin;
    if (machine.calls() != 0) return true;
    if (outcome.how != Machine::End::stop) break;
    begin = outcome.end;
  }
  settled = 0;
  return false;
}

// Whether bytes whose head does not settle it are a pickle that is worth reporting on. What the
// walk can't see (long arguments, many small pickles before the one that matters) the machine
// tries, quietly: on what is no pickle it stops after a few bytes.
bool is_pickle(Source& source, Session& session, std::uint64_t begin, Bytes head,
               std::uint64_t& settled) {
  if (begin <= settled && settled != 0) return true;
  const Walk trial = walk(head);
  if (trial.acts) return true;
  if (trial.header && trial.opcodes >= 4) return true;
  switch (trial.end) {
  case Walk::End::stop:
    // A list of words can import and stop ("cat", "dog", ".x"), but not at its end.
    return trial.opcodes >= k_convincing ||
           (trial.opcodes >= 3 && only_blank(source, begin + trial.consumed)) ||
           acts_later(source, session, begin, settled);
  case Walk::End::data_end:
    return (trial.names && trial.opcodes >= k_few) || trial.opcodes >= k_convincing ||
           acts_later(source, session, begin, settled);
  case Walk::End::invalid:
    break;
  }
  return false;
}

struct Stream {
  Machine::Outcome outcome;
  bool harmful = false;
};

void report_end(Session& session, const Machine::Outcome& outcome) {
  switch (outcome.how) {
  case Machine::End::stop:
    break;
  case Machine::End::truncated:
    session.gap(Reason::truncated, Reach::load, outcome.end, "the pickle ends without STOP");
    break;
  case Machine::End::broken:
    session.gap(Reason::malformed, Reach::load, outcome.end,
                "the pickle breaks: " + std::string(outcome.why));
    break;
  case Machine::End::budget:
    session.gap(Reason::budget, Reach::load, outcome.end, outcome.why);
    break;
  }
}

Claim probe(const Probe& probe) {
  return looks_like_pickle(probe.head);
}

Reading scan(Source& source, Session& session) {
  const std::vector<std::uint8_t> head = head_at(source, 0);
  const Claim claim = looks_like_pickle(head);
  std::uint64_t settled = 0;
  if (claim == Claim::no ||
      (claim == Claim::maybe && !is_pickle(source, session, 0, head, settled)))
    return Reading::none;
  const Result result = scan_pickle(source, session, 0);
  if (result.state == Result::State::none) return Reading::none;
  // Of skops' own readers one hands what is no zip to joblib (CVE-2025-54886).
  if (session.is_object())
    session.find(rule(R::skops_name), 0, 0, "a pickle, not an archive", {.condition = "*.skops"});
  if (result.state == Result::State::broken) {
    find_pickles(source, session, result.end + 1, source.wait_end());
    return Reading::broken;
  }
  session.ends_at(result.end);
  if (!starts_with(head, k_torch_legacy) && !only_blank(source, result.end)) {
    const std::uint64_t end = source.wait_end();
    session.find(rule(R::data_after_stop), result.end, end - result.end,
                 std::to_string(end - result.end) + " bytes follow the STOP");
    find_pickles(source, session, result.end, end);
  }
  return Reading::valid;
}

} // namespace

Claim looks_like_pickle(Bytes head) {
  if (head.empty() || k_opcodes[head[0]].arg == Arg::invalid) return Claim::no;
  const Walk trial = walk(head.first(std::min(head.size(), Probe::k_head)));
  if (trial.header) {
    if (trial.opcodes < 2) return head.size() <= 11 ? Claim::maybe : Claim::no;
    return trial.end != Walk::End::invalid || trial.names || trial.opcodes >= 8 ? Claim::yes
                                                                                : Claim::maybe;
  }
  if (trial.acts) return Claim::maybe;
  switch (trial.end) {
  case Walk::End::stop:
    // Another may follow, and harm.
    return trial.opcodes >= 3 || trial.consumed < head.size() ? Claim::maybe : Claim::no;
  case Walk::End::data_end:
    return Claim::maybe;
  case Walk::End::invalid:
    break;
  }
  return Claim::no;
}

Result scan_pickle(Source& source, Session& session, std::uint64_t begin, const Options& options,
                   Observer* observer) {
  Result result;
  result.end = begin;
  Machine machine(source, session, options, observer);
  std::uint64_t settled = 0;
  for (std::uint64_t at = begin;;) {
    const std::vector<std::uint8_t> head = head_at(source, at);
    const Claim claim = looks_like_pickle(head);
    const bool follows = at != begin;
    // The first is the caller's claim; a later one must be a pickle by its own bytes.
    if (head.empty() || claim == Claim::no ||
        (follows && claim == Claim::maybe && !is_pickle(source, session, at, head, settled)))
      return result;
    const bool report = options.reports == Options::Reports::all;
    if (follows && result.streams == 1 && report)
      session.find(rule(R::several), at, 1, "another pickle begins here");
    const Machine::Outcome outcome = machine.run(at);
    ++result.streams;
    result.end = at = outcome.end;
    if (outcome.how != Machine::End::stop) {
      result.state = Result::State::broken;
      if (report) report_end(session, outcome);
      return result;
    }
    result.state = Result::State::complete;
    if (options.streams == Options::Streams::one) return result;
  }
}

std::uint64_t find_pickles(Source& source, Session& session, std::uint64_t begin,
                           std::uint64_t end) {
  constexpr std::size_t k_step = std::size_t{1} << 20;
  constexpr std::size_t k_trial = 4096;
  constexpr std::uint64_t k_work_a_byte = 64;
  const std::uint64_t work_limit = (end - std::min(begin, end)) * k_work_a_byte + k_step * 16;
  std::uint64_t work = 0;
  std::uint64_t found = 0;
  std::size_t harmless = 0;
  constexpr std::size_t k_told_harmless = 20;
  Machine machine(source, session, {}, nullptr);
  machine.set_shown(false); // much of it is no pickle
  for (std::uint64_t at = begin; at < end;) {
    if (!session.budget().time_left() || work > work_limit) {
      session.gap(Reason::budget, Reach::load, at, "the search for pickles spent its budget");
      return found;
    }
    const Bytes window =
        source.view(at, static_cast<std::size_t>(std::min<std::uint64_t>(k_step, end - at)));
    if (window.empty()) return found;
    // The last trials of a window need what follows it.
    const bool last = at + window.size() >= end;
    const std::size_t usable =
        last || window.size() <= k_trial ? window.size() : window.size() - k_trial;
    std::uint64_t next = at + usable;
    for (std::size_t i = 0; i < usable; ++i) {
      // What a pickle that does something can begin with: PROTO, FRAME, MARK, GLOBAL, a text.
      const std::uint8_t c = window[i];
      if (c != 0x80 && c != 'c' && c != '(' && c != 0x8c && c != 0x95 && c != 'X' && c != 'V' &&
          c != 'S')
        continue;
      const Bytes head = window.subspan(i, std::min(k_trial, window.size() - i));
      if (c == 0x80 && (head.size() < 3 || head[1] < 1 || head[1] > 5)) continue;
      const Walk trial = walk(head, 256);
      work += trial.consumed + 1;
      const bool whole = trial.end == Walk::End::stop && trial.header && trial.opcodes >= 4;
      const bool goes_on = trial.header && trial.end == Walk::End::data_end && trial.opcodes >= 16;
      if (!trial.calls && !whole && !goes_on && !(trial.header && trial.names)) continue;
      const std::uint64_t start = at + i;
      const Machine::Outcome outcome = machine.run(start);
      work += outcome.end - start;
      // Bytes that only look like one do nothing: they stay what they were, junk.
      if (outcome.how != Machine::End::stop && !machine.did_harm()) continue;
      ++found;
      if (session.showing()) {
        Machine again(source, session, {.reports = Options::Reports::none}, nullptr);
        again.set_shown(true);
        again.run(start);
      }
      // Tables have a column of them: that there are pickles is told, not how many.
      if (machine.did_harm() || ++harmless <= k_told_harmless)
        session.find(
            rule(R::behind_junk), start, outcome.end - start,
            "a pickle at " + std::to_string(start) +
                (outcome.how == Machine::End::stop ? "" : ", broken"),
            {.severity = machine.did_harm() ? Severity::suspicious : Severity::informational});
      next = std::max(outcome.end, start + 1);
      break;
    }
    at = next;
  }
  return found;
}

} // namespace pickle

extern const Format format_pickle;
const Format format_pickle{
    .name = "pickle",
    .family = "pickle",
    .probe = pickle::probe,
    .scan = pickle::scan,
    .rules = pickle::rules(),
    .data_version = pickle::k_names_version,
};

} // namespace hubgate
