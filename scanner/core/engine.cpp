#include "scanner/core/engine.hpp"

#include "scanner/code/behaviour/behaviour.hpp"
#include "scanner/core/digest.hpp"
#include "scanner/core/evidence.hpp"
#include "scanner/core/kept.hpp"
#include "scanner/core/opaque.hpp"
#include "scanner/generic/generic.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <new>
#include <utility>

namespace hubgate {

// One claim of a format on a stream, and how far it has settled.
struct Claimant {
  const Format* format = nullptr;
  Claim claim = Claim::no;
  Reading reading = Reading::none;
  std::uint64_t released = 0;
  bool done = false;
  std::optional<std::uint64_t> end;
};

// Everything that the engine knows of one stream while it is being scanned.
struct EngineStream {
  Source& source;
  std::string where;
  std::uint32_t depth;
  std::vector<Claimant> claimants;
  std::vector<std::string> raw_members; ///< full `where` of members that a format vouches for
  std::size_t current = 0;              ///< claimant whose scan runs
  bool inspected = false;
};

namespace {

constexpr std::array<Rule, 3> k_rules{{
    {"polyglot", "polyglot", Severity::suspicious, Reach::load, "CWE-436", "AML.T0076",
     "POL-001 POL-002",
     "the same bytes are a complete object of more than one format, so a "
     "scanner and a loader may read different things"},
    {"trailing-data", "structure", Severity::informational, Reach::data, "CWE-436", "AML.T0076",
     "POL-001 SAF-003", "bytes follow the end that the format states"},
    {"decompression-bomb", "bomb", Severity::suspicious, Reach::load, "CWE-409", "AML.T0029",
     "ARC-016", "the object unpacks to more than its size can honestly hold"},
}};

const Rule& k_polyglot = k_rules[0];
const Rule& k_trailing_data = k_rules[1];
const Rule& k_bomb = k_rules[2];

Reason reason_of(Fault fault) {
  switch (fault) {
  case Fault::truncated:
    return Reason::truncated;
  case Fault::budget:
    return Reason::budget;
  case Fault::malformed:
    return Reason::malformed;
  case Fault::unsupported:
    return Reason::unsupported;
  case Fault::none:
  case Fault::discarded:
  case Fault::io:
    break;
  }
  return Reason::unreadable;
}

std::string_view words_of(Fault fault) {
  switch (fault) {
  case Fault::truncated:
    return "the bytes end early";
  case Fault::budget:
    return "decoding spent the budget";
  case Fault::malformed:
    return "the stream can't be decoded";
  case Fault::unsupported:
    return "the stream needs a codec that hubgate does not have";
  case Fault::discarded:
    return "the bytes were given up before they were wanted";
  case Fault::none:
  case Fault::io:
    break;
  }
  return "reading failed";
}

// Padding that means nothing: zeros, blanks, line ends.
bool only_padding(Source& source, std::uint64_t begin, std::uint64_t end) {
  constexpr std::size_t k_step = std::size_t{64} << 10;
  for (std::uint64_t at = begin; at < end;) {
    const Bytes piece =
        source.view(at, static_cast<std::size_t>(std::min<std::uint64_t>(k_step, end - at)));
    if (piece.empty()) return true;
    const bool blank = std::all_of(piece.begin(), piece.end(), [](std::uint8_t c) {
      return c == 0 || c == ' ' || c == '\n' || c == '\r' || c == '\t';
    });
    if (!blank) return false;
    at += piece.size();
  }
  return true;
}

// An object that still arrives, whose inspector reads along: whoever waits for the end lets it.
class InspectedSource final : public KeepingSource {
public:
  InspectedSource(Source& inner, std::function<void()> inspect)
      : inner_(inner), inspect_(std::move(inspect)) {}
  std::optional<std::uint64_t> size() override { return inner_.size(); }
  Bytes view(std::uint64_t offset, std::size_t n) override { return inner_.view(offset, n); }
  Bytes some(std::uint64_t offset, std::size_t n) override { return inner_.some(offset, n); }
  bool random_access() override { return inner_.random_access(); }
  std::uint64_t wait_end() override {
    if (const auto inspect = std::exchange(inspect_, nullptr)) inspect();
    return inner_.wait_end();
  }
  Fault fault() const override { return inner_.fault(); }

private:
  Source& inner_;
  std::function<void()> inspect_;
};

double cpu_now() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

std::string hex_offset(std::uint64_t offset) {
  static constexpr std::string_view k_digits = "0123456789abcdef";
  std::string out;
  do {
    out.insert(out.begin(), k_digits[offset & 15]);
    offset >>= 4;
  } while (offset != 0);
  return "0x" + out;
}

} // namespace

std::span<const Rule> engine_rules() {
  return k_rules;
}

Engine::Engine(FormatTable formats, const Limits& limits, ReportSink* sink,
               StreamInspector* inspector)
    : formats_(formats), budget_(limits), sink_(sink), inspector_(inspector),
      listings_(limits, sink) {}

void Engine::add(Finding finding) {
  // A refinement and its base format see the same thing.
  const bool known =
      std::any_of(report_.findings.begin(), report_.findings.end(), [&](const Finding& other) {
        return other.offset == finding.offset && other.rule == finding.rule &&
               other.length == finding.length && other.where == finding.where &&
               other.severity == finding.severity && other.evidence == finding.evidence &&
               other.condition == finding.condition;
      });
  if (known) return;
  if (report_.findings.size() >= budget_.limits().findings) {
    ++report_.dropped;
    // What is dropped must not lower the verdict: a worse finding takes the place of a milder one.
    const auto mildest = std::min_element(
        report_.findings.begin(), report_.findings.end(),
        [](const Finding& a, const Finding& b) { return a.severity < b.severity; });
    if (mildest == report_.findings.end() || mildest->severity >= finding.severity) return;
    if (sink_ != nullptr) sink_->on_finding(finding);
    *mildest = std::move(finding);
    return;
  }
  if (sink_ != nullptr) sink_->on_finding(finding);
  report_.findings.push_back(std::move(finding));
}

void Engine::add(Gap gap) {
  const auto known = std::find_if(report_.gaps.begin(), report_.gaps.end(), [&](const Gap& other) {
    return other.reason == gap.reason && other.where == gap.where && other.detail == gap.detail &&
           other.reach == gap.reach && other.condition == gap.condition;
  });
  if (known != report_.gaps.end()) return;
  if (report_.gaps.size() >= budget_.limits().findings) {
    // Gaps beyond the limit say nothing new about the status, but policies look at the reach: one
    // that a loader would execute takes the place of one that it would not.
    const auto milder = std::find_if(report_.gaps.begin(), report_.gaps.end(),
                                     [](const Gap& other) { return other.reach == Reach::data; });
    if (gap.reach == Reach::data || milder == report_.gaps.end()) return;
    if (sink_ != nullptr) sink_->on_gap(gap);
    *milder = std::move(gap);
    return;
  }
  if (sink_ != nullptr) sink_->on_gap(gap);
  report_.gaps.push_back(std::move(gap));
}

void Engine::add(Reference reference) {
  std::string key = reference.kind;
  for (const std::string* part: {&reference.target, &reference.where, &reference.condition}) {
    key += '\0';
    key += *part;
  }
  if (referred_.contains(key)) return;
  if (report_.references.size() >= k_max_references) {
    // What members import is for who reads the report: no verdict follows it.
    if (reference.kind == "import" && !reference.where.empty()) return;
    add(Gap{Reason::budget, Reach::data, reference.where, reference.offset,
            "names more than " + std::to_string(k_max_references) + " other objects"});
    return;
  }
  referred_.insert(std::move(key));
  if (sink_ != nullptr) sink_->on_reference(reference);
  report_.references.push_back(std::move(reference));
}

void Engine::release_moved(Stream& stream) {
  if (stream.depth != 0 || sink_ == nullptr || inspector_ != nullptr) return;
  std::uint64_t settled = ~std::uint64_t{0};
  for (const auto& claimant: stream.claimants)
    if (!claimant.done) settled = std::min(settled, claimant.released);
  if (settled == ~std::uint64_t{0} || settled <= released_) return;
  released_ = settled;
  sink_->on_release(settled);
}

void Engine::run(Stream& stream, std::size_t index) {
  stream.current = index;
  Session session(*this, stream);
  Claimant& claimant = stream.claimants[index];
  claimant.reading = claimant.format->scan(stream.source, session);
  claimant.done = true;
  release_moved(stream);
}

void Engine::claim(Stream& stream, const Probe& probe) {
  std::vector<Claimant> added;
  for (const Format* format: formats_) {
    const bool known =
        std::any_of(stream.claimants.begin(), stream.claimants.end(),
                    [&](const Claimant& claimant) { return claimant.format == format; });
    if (known) continue;
    const Claim claim = format->probe(probe);
    if (claim == Claim::no) continue;
    added.push_back({.format = format, .claim = claim, .end = std::nullopt});
  }
  // Trials first: the certain ones may give up random access or settle early.
  std::stable_sort(added.begin(), added.end(), [](const Claimant& a, const Claimant& b) {
    return a.claim == Claim::maybe && b.claim == Claim::yes;
  });
  const std::size_t first = stream.claimants.size();
  stream.claimants.insert(stream.claimants.end(), added.begin(), added.end());
  for (std::size_t i = first; i < stream.claimants.size(); ++i)
    run(stream, i);
}

void Engine::scan_stream(Stream& stream, Opaque opaque) {
  std::vector<std::uint8_t> head;
  {
    const Bytes bytes = stream.source.view(0, Probe::k_head);
    head.assign(bytes.begin(), bytes.end());
  }
  std::vector<std::uint8_t> tail;
  Probe probe{head, {}, stream.source.size().value_or(0), stream.source.size().has_value()};
  const auto read_tail = [&] {
    probe.size = stream.source.wait_end();
    probe.size_known = true;
    const std::uint64_t begin = probe.size > Probe::k_tail ? probe.size - Probe::k_tail : 0;
    const Bytes bytes = stream.source.view(begin, Probe::k_tail);
    tail.assign(bytes.begin(), bytes.end());
    probe.tail = tail;
  };

  if (stream.source.random_access()) read_tail();
  claim(stream, probe);
  if (probe.tail.empty()) {
    read_tail();
    claim(stream, probe);
  }
  if (stream.depth == 0) report_.size = probe.size;

  judge(stream, probe.size, opaque);
  inspect(stream, stream.source);

  if (const Fault fault = stream.source.fault(); fault != Fault::none)
    add(Gap{reason_of(fault), Reach::load, stream.where, probe.size, std::string(words_of(fault))});
  if (stream.source.fault() == Fault::budget && budget_.is_bomb() && !bomb_reported_) {
    bomb_reported_ = true;
    Session(*this, stream)
        .find(k_bomb, 0, 0,
              "more than " + std::to_string(budget_.decoded_bytes() >> 20) +
                  " MiB were unpacked when the limit was reached");
  }
}

void Engine::inspect(Stream& stream, Source& source) {
  if (inspector_ == nullptr || std::exchange(stream.inspected, true)) return;
  // What is read here was read and paid for before, and the inspector bounds its own time: the
  // budget goes on afterwards as if nothing had happened.
  const Budget before = budget_;
  const double began = cpu_now();
  Limits free = before.limits();
  free.decoded_bytes = ~std::uint64_t{0};
  free.ratio = ~std::uint64_t{0};
  free.cpu_seconds = 1e9;
  budget_ = Budget(free);
  Session session(*this, stream);
  inspector_->inspect(source, session);
  budget_ = before;
  const_cast<Limits&>(budget_.limits()).cpu_seconds += cpu_now() - began;
}

void Engine::judge(Stream& stream, std::uint64_t size, Opaque opaque) {
  // The most refined valid reading names the format.
  const Claimant* best = nullptr;
  std::vector<std::string_view> families;
  std::uint64_t end = 0;
  for (const auto& claimant: stream.claimants) {
    if (claimant.reading == Reading::none) continue;
    end = std::max(end, claimant.end.value_or(size));
    if (claimant.reading == Reading::valid && !claimant.format->weak &&
        std::find(families.begin(), families.end(), claimant.format->family) == families.end())
      families.push_back(claimant.format->family);
    const auto rank = [](const Claimant& c) {
      return (c.format->weak ? 0 : 8) + (c.reading == Reading::valid ? 4 : 0) +
             (c.claim == Claim::yes ? 2 : 0) + (c.format->name != c.format->family ? 1 : 0);
    };
    if (best == nullptr || rank(claimant) > rank(*best)) best = &claimant;
  }
  if (stream.depth == 0 && best != nullptr) report_.format = best->format->name;
  if (listings_.asked()) {
    if (best != nullptr) listings_.add("format", stream.where, 0, best->format->name);
    const bool text =
        best != nullptr && (best->format->family == "text" || best->format->family == "json");
    listings_.dump(stream.source, stream.where, size, text);
  }

  // Much of what formats write is text (protocol 0 pickles, JSON): that is no second reading.
  if (families.size() > 1) std::erase(families, "text");

  stream.current = stream.claimants.size();
  Session session(*this, stream);
  if (families.size() > 1) {
    std::string evidence = "valid as ";
    for (std::size_t i = 0; i < families.size(); ++i)
      evidence += (i == 0                     ? ""
                   : i + 1 == families.size() ? " and as "
                                              : ", ") +
                  std::string(families[i]);
    session.find(k_polyglot, 0, size, evidence);
  }

  if (best == nullptr) {
    if (size == 0) {
      if (stream.depth == 0) report_.format = "empty";
    } else {
      // What it finds does not explain the bytes around it: they stay opaque.
      generic_scan(stream.source, session);
      if (opaque == Opaque::is_gap) held_opaque_.push_back({stream.where, size});
    }
  } else if (end < size && !only_padding(stream.source, end, size)) {
    session.find(k_trailing_data, end, size - end,
                 "the " + std::string(best->format->name) + " ends at " + hex_offset(end) +
                     ", the object at " + hex_offset(size));
    TailSource rest(stream.source, end);
    session.member("@" + hex_offset(end), rest);
  }

  // Members that were opaque by themselves but are the raw data of a format that knows them.
  std::erase_if(held_opaque_, [&](const HeldOpaque& held) {
    return std::find(stream.raw_members.begin(), stream.raw_members.end(), held.where) !=
           stream.raw_members.end();
  });
}

void Engine::scan_member(Stream& parent, std::string_view name, Source& source, Opaque opaque) {
  std::string where = parent.where;
  if (!where.empty()) where += '!';
  where += escaped(name.substr(0, 4 * k_where_max));
  if (where.size() > k_where_max) where = "…" + where.substr(where.size() - k_where_max);
  if (parent.depth + 1 > budget_.limits().depth) {
    add(Gap{Reason::budget, Reach::load, where, 0, "nested too deep"});
    return;
  }
  if (!budget_.entry()) {
    add(Gap{Reason::budget, Reach::load, where, 0, "too many members"});
    return;
  }
  if (!budget_.time_left()) {
    add(Gap{Reason::budget, Reach::load, where, 0, "out of time"});
    return;
  }
  Stream stream{source, std::move(where), parent.depth + 1, {}, {}, 0};
  scan_stream(stream, opaque);
}

Report Engine::scan(Source& source) {
  if (const auto size = source.size()) budget_.set_object_size(*size);
  std::function<void()> read_along;
  InspectedSource inspected(source, [&] { read_along(); });
  const bool arrives = inspector_ != nullptr && !source.random_access();
  Stream stream{arrives ? inspected : source, "", 0, {}, {}, 0};
  read_along = [&] { inspect(stream, source); };
  if (inspector_ != nullptr) inspector_->begin();
  try {
    scan_stream(stream, Opaque::is_gap);
  } catch (const std::bad_alloc&) {
    add(Gap{Reason::out_of_memory, Reach::load, "", 0, "the scan ran out of memory"});
  } catch (const std::exception& failure) {
    add(Gap{Reason::crash, Reach::load, "", 0, printable(failure.what())});
  }
  listings_.finish();
  for (const auto& held: held_opaque_)
    add(Gap{Reason::opaque, Reach::data, held.where, 0, opaque_detail(held.size)});
  return std::move(report_);
}

void Session::find(const Rule& rule, std::uint64_t offset, std::uint64_t length,
                   std::string_view evidence, const FindOptions& options) {
  Finding finding;
  finding.rule = rule.id;
  finding.klass = options.klass.empty() ? rule.klass : options.klass;
  finding.severity = options.severity.value_or(rule.severity);
  finding.reach = options.reach.value_or(rule.reach);
  finding.where = stream_.where;
  finding.offset = offset;
  finding.length = length;
  finding.evidence = printable(evidence);
  finding.cwe = rule.cwe;
  finding.atlas = rule.atlas;
  finding.techniques = options.techniques.empty() ? rule.techniques : options.techniques;
  finding.condition = options.condition;
  engine_.add(std::move(finding));
}

void Session::gap(Reason reason, Reach reach, std::uint64_t offset, std::string_view detail,
                  std::string_view condition) {
  engine_.add(Gap{reason, reach, stream_.where, offset, printable(detail), std::string(condition)});
}

void Session::refer(std::string_view kind, std::uint64_t offset, std::string_view target,
                    std::string_view condition) {
  engine_.add(Reference{std::string(kind), printable(target), stream_.where, offset,
                        std::string(condition)});
}

bool Session::showing() const {
  return engine_.listings_.asked();
}

void Session::show(std::string_view kind, std::uint64_t offset, std::string_view text) {
  if (!showing()) return;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    engine_.listings_.add(kind, stream_.where, offset, line);
  }
}

void Session::release(std::uint64_t upto) {
  // The generic scan runs for no format: what it looks at is released with the verdict.
  if (stream_.current >= stream_.claimants.size()) return;
  auto& claimant = stream_.claimants[stream_.current];
  if (upto <= claimant.released) return;
  claimant.released = upto;
  engine_.release_moved(stream_);
}

void Session::ends_at(std::uint64_t end) {
  if (stream_.current < stream_.claimants.size()) stream_.claimants[stream_.current].end = end;
}

void Session::rest_is_inert(std::uint64_t from) {
  if (stream_.current >= stream_.claimants.size()) return;
  const auto size = stream_.source.size();
  const auto end = stream_.claimants[stream_.current].end;
  // Only when the format owns everything that follows, and nobody else still has to read it.
  if (!is_object() || !size || (end && *end != *size)) return;
  if (stream_.current + 1 != stream_.claimants.size()) return;
  release(*size > k_held_tail ? *size - k_held_tail : 0);
  if (engine_.sink_ != nullptr && engine_.inspector_ == nullptr)
    engine_.sink_->on_rest_is_inert(from);
}

void Session::raw_member(std::string_view name) {
  std::string where = stream_.where;
  if (!where.empty()) where += '!';
  stream_.raw_members.push_back(where + escaped(name));
}

void Session::member(std::string_view name, Source& source) {
  engine_.scan_member(stream_, name, source, Engine::Opaque::is_gap);
}

void Session::embedded(std::string_view name, Source& source) {
  engine_.scan_member(stream_, name, source, Engine::Opaque::is_fine);
}

Budget& Session::budget() {
  return engine_.budget_;
}
const std::string& Session::where() const {
  return stream_.where;
}
std::uint32_t Session::depth() const {
  return stream_.depth;
}

Report scan_object(FormatTable formats, Source& source, const Limits& limits, ReportSink* sink) {
  return scan_object(formats, source, limits, sink, nullptr);
}

Report scan_object(FormatTable formats, Source& source, const Limits& limits, ReportSink* sink,
                   StreamInspector* inspector) {
  if (limits.listings == 0 || (limits.listings & k_list_all) != 0)
    return Engine(formats, limits, sink, inspector).scan(source);
  Limits quiet = limits;
  quiet.listings = 0;
  const Report found = Engine(formats, quiet, nullptr, inspector).scan(source);
  Engine engine(formats, limits, sink, inspector);
  engine.listings().show_near(found);
  return engine.scan(source);
}

std::string rules_digest(FormatTable formats) {
  std::string text(engine_version());
  const auto append = [&text](std::span<const Rule> rules) {
    for (const Rule& rule: rules) {
      for (const std::string_view field:
           {rule.id, rule.klass, to_string(rule.severity), to_string(rule.reach), rule.cwe,
            rule.atlas, rule.techniques, rule.meaning}) {
        text += field;
        text += '\0';
      }
    }
  };
  append(k_rules);
  append(generic_rules());
  append(behaviour::behaviour_rules());
  text += behaviour::behaviour_version();
  for (const Format* format: formats) {
    text += format->name;
    text += '\0';
    text += format->data_version;
    append(format->rules);
  }
  const Limits limits;
  for (const std::uint64_t value:
       {limits.decoded_bytes, limits.ratio, limits.ratio_free_bytes, std::uint64_t{limits.depth},
        limits.entries, static_cast<std::uint64_t>(limits.cpu_seconds), limits.memory,
        std::uint64_t{limits.findings}})
    text += std::to_string(value) + ';';
  return hex(sha256(as_bytes(text)));
}

} // namespace hubgate
