#include "policy/commands/explain_output.hpp"

#include "policy/json.hpp"
#include "scanner/core/evidence.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <ostream>

namespace hubgate {
namespace json = boost::json;
namespace {

constexpr const char* k_red = "\x1b[31;1m";
constexpr const char* k_yellow = "\x1b[33m";
constexpr const char* k_green = "\x1b[32m";
constexpr const char* k_bold = "\x1b[1m";
constexpr const char* k_dim = "\x1b[2m";

constexpr std::string_view k_bytes = "bytes";
constexpr std::string_view k_disassembly = "disassembly";

struct Lines {
  std::string kind;
  std::vector<const Listing*> lines;
};

/// A stream: the object or what lies in it.
struct Stream {
  std::string where;
  std::string format;
  std::vector<Lines> kinds; ///< bytes, disassembly, then the others as they came
  bool found = false;       ///< a finding or gap points here
};

std::string_view heading(std::string_view kind) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 14> k_headings{{
      {"code", "decompiled"},
      {"source", "source that is run"},
      {"call", "calls, with what is known of their arguments"},
      {"command", "commands"},
      {"template", "template"},
      {"operator", "operators with an effect"},
      {"layer", "layers"},
      {"cell", "cells"},
      {"entry-point", "what runs, and when"},
      {"bytes", "bytes"},
      {"disassembly", "disassembly"},
      {"node", "nodes"},
      {"key", "keys"},
      {"member", "members"},
  }};
  const auto* const found = std::find_if(k_headings.begin(), k_headings.end(),
                                         [&](const auto& entry) { return entry.first == kind; });
  return found == k_headings.end() ? kind : found->second;
}

bool in_stage(std::string_view kind, const std::string& stage) {
  if (stage.empty() || kind == "format" || kind == "left-out") return true;
  if (stage == k_bytes || stage == k_disassembly) return kind == stage;
  return kind != k_bytes && kind != k_disassembly;
}

std::vector<Stream> streams_of(const Explained& explained, const ExplainStyle& style) {
  std::vector<Stream> out;
  std::map<std::string_view, std::size_t> known;
  const auto stream_of = [&](const std::string& where) -> Stream& {
    const auto [at, added] = known.try_emplace(where, out.size());
    if (added) out.push_back({.where = where, .format = {}, .kinds = {}});
    return out[at->second];
  };
  stream_of("").format = explained.result.report.format;
  for (const Listing& listing: explained.listings) {
    if (listing.kind == "left-out" || !in_stage(listing.kind, style.stage)) continue;
    Stream& stream = stream_of(listing.where);
    if (listing.kind == "format") {
      stream.format = listing.text;
      continue;
    }
    auto kind = std::find_if(stream.kinds.begin(), stream.kinds.end(),
                             [&](const Lines& lines) { return lines.kind == listing.kind; });
    if (kind == stream.kinds.end()) {
      stream.kinds.push_back({listing.kind, {}});
      kind = std::prev(stream.kinds.end());
    }
    kind->lines.push_back(&listing);
  }
  for (const Finding& finding: explained.result.verdict.findings)
    stream_of(finding.where).found = true;
  for (const Gap& gap: explained.result.verdict.gaps)
    stream_of(gap.where).found = true;
  const auto rank = [](const Lines& lines) {
    return lines.kind == k_bytes ? 0 : lines.kind == k_disassembly ? 1 : 2;
  };
  for (Stream& stream: out)
    std::stable_sort(stream.kinds.begin(), stream.kinds.end(),
                     [&](const Lines& a, const Lines& b) { return rank(a) < rank(b); });
  return out;
}

// Which findings point at which line: the last that begins at or before the place, the first of
// several at one offset.
std::map<const Listing*, std::string> marks_of(const Lines& lines, const Stream& stream,
                                               const Verdict& verdict) {
  std::map<const Listing*, std::string> out;
  if (lines.kind == "entry-point") return out;
  for (std::size_t i = 0; i < verdict.findings.size(); ++i) {
    const Finding& finding = verdict.findings[i];
    if (finding.where != stream.where) continue;
    const Listing* best = nullptr;
    for (const Listing* line: lines.lines) {
      if (line->offset > finding.offset || line->text.starts_with("…")) continue;
      if (best == nullptr || line->offset > best->offset) best = line;
    }
    // Code is shown under the offset of what it came from; of bytes, a whole line is meant.
    if (best == nullptr) continue;
    const bool exact = best->offset == finding.offset;
    if (!exact && lines.kind != k_bytes && lines.kind != k_disassembly && lines.kind != "source")
      continue;
    if (lines.kind == k_bytes && finding.offset - best->offset >= 16) continue;
    std::string& mark = out[best];
    if (mark.size() < 24) mark += " [" + std::to_string(i + 1) + "]";
  }
  return out;
}

class Text {
public:
  Text(std::ostream& out, const Explained& explained, const ExplainStyle& style)
      : out_(out), explained_(explained), style_(style) {}

  void write() {
    head();
    if (!explained_.result.error.empty()) return;
    std::size_t silent = 0;
    for (const Stream& stream: streams_of(explained_, style_)) {
      if (stream.kinds.empty() && !style_.all) {
        silent += stream.where.empty() ? 0 : 1;
        continue;
      }
      show(stream);
    }
    if (silent != 0)
      out_ << "\n" << silent << (silent == 1 ? " part" : " parts") << " inside without code\n";
    for (const Listing& listing: explained_.listings)
      if (listing.kind == "left-out")
        out_ << "\n"
             << listing.text << " lines more are not shown (--all, and --lines 0, show them)\n";
    findings();
    references();
  }

private:
  void head() {
    const ScanResult& result = explained_.result;
    const VerdictKind kind = result.verdict.kind;
    out_ << paint(escaped(result.path), k_bold) << ": "
         << paint(std::string(to_string(kind)), kind == VerdictKind::malicious ? k_red
                                                : kind == VerdictKind::clean   ? k_green
                                                                               : k_yellow);
    if (result.tree) {
      out_ << " (its files together)\n";
      return;
    }
    out_ << " (" << (result.report.format.empty() ? "no known format" : result.report.format)
         << ", " << result.size << " bytes)\n";
    if (!result.sha256.empty()) out_ << "sha256 " << result.sha256 << "\n";
    if (!result.error.empty()) out_ << "could not be read: " << escaped(result.error) << "\n";
  }

  void show(const Stream& stream) {
    out_ << "\n"
         << paint(stream.where.empty() ? "The file itself" : "Inside: " + stream.where, k_bold);
    if (!stream.format.empty()) out_ << " (" << stream.format << ")";
    out_ << "\n";
    for (const Lines& lines: stream.kinds) {
      out_ << "\n  " << paint(std::string(heading(lines.kind)), k_dim) << "\n";
      const auto marks = marks_of(lines, stream, explained_.result.verdict);
      std::uint64_t last = ~std::uint64_t{0};
      for (const Listing* line: lines.lines) {
        const auto mark = marks.find(line);
        out_ << (mark == marks.end() ? "    " : paint("  > ", k_red));
        out_ << (line->offset == last ? std::string(8, ' ') : offset(*line)) << "  "
             << (mark == marks.end() ? line->text : paint(line->text, k_red));
        last = line->offset;
        if (mark != marks.end()) out_ << paint(mark->second, k_red);
        out_ << "\n";
      }
    }
  }

  static std::string offset(const Listing& line) {
    std::array<char, 24> text{};
    std::snprintf(text.data(), text.size(), line.kind == k_bytes ? "%08llx" : "%8llu",
                  static_cast<unsigned long long>(line.offset));
    return text.data();
  }

  void findings() {
    const Verdict& verdict = explained_.result.verdict;
    out_ << "\n"
         << paint(verdict.findings.empty() && verdict.gaps.empty() ? "Nothing was found" : "Found",
                  k_bold)
         << "\n";
    for (std::size_t i = 0; i < verdict.findings.size(); ++i) {
      const Finding& finding = verdict.findings[i];
      const char* colour = finding.severity == Severity::malicious    ? k_red
                           : finding.severity == Severity::suspicious ? k_yellow
                                                                      : k_dim;
      out_ << "  [" << i + 1 << "] " << paint(std::string(to_string(finding.severity)), colour)
           << "  " << finding.rule << "  (class " << finding.klass;
      for (const std::string* id: {&finding.cwe, &finding.atlas})
        if (!id->empty()) out_ << ", " << *id;
      // A rule that stands for many techniques says nothing by naming them all.
      constexpr std::size_t k_few = 48;
      if (!finding.techniques.empty() && finding.techniques.size() <= k_few)
        out_ << ", techniques " << finding.techniques;
      out_ << ")\n";
      if (const auto meaning = meaning_of_rule(finding.rule); !meaning.empty())
        out_ << "      " << meaning << "\n";
      evidence(finding.evidence);
      out_ << "      ";
      if (explained_.result.tree)
        out_ << "in " << finding.where;
      else
        out_ << "at byte " << finding.offset << (finding.where.empty() ? "" : " in ")
             << finding.where;
      out_ << (finding.reach == Reach::load ? "; runs when the file is loaded"
                                            : "; lies in the data")
           << "\n";
    }
    if (explained_.result.report.dropped != 0)
      out_ << "  and " << explained_.result.report.dropped << " findings more\n";
    for (const Gap& gap: verdict.gaps) {
      out_ << "  " << paint("not read to the end", k_yellow) << ": " << to_string(gap.reason);
      if (!gap.detail.empty()) out_ << ", " << gap.detail;
      out_ << " (at byte " << gap.offset << (gap.where.empty() ? "" : " in ") << gap.where << ")\n";
    }
  }

  // A path from source to sink, a step a line.
  void evidence(const std::string& text) {
    static constexpr std::string_view k_arrow = " -> ";
    std::size_t from = 0;
    const bool path = text.find("line ") != std::string::npos;
    for (bool first = true; from <= text.size(); first = false) {
      const std::size_t arrow = path ? text.find(k_arrow, from) : std::string::npos;
      const std::size_t end = std::min(arrow, text.size());
      if (end > from)
        out_ << (first ? "      " : "        -> ") << text.substr(from, end - from) << "\n";
      if (arrow == std::string::npos) break;
      from = arrow + k_arrow.size();
    }
  }

  void references() {
    const auto& references = explained_.result.report.references;
    std::vector<const Reference*> shown;
    for (const Reference& reference: references)
      for (const std::string_view kind: {"code", "remote-code", "repository", "import", "url"})
        if (reference.kind == kind) shown.push_back(&reference);
    if (shown.empty()) return;
    constexpr std::size_t k_most = 40;
    out_ << "\n" << paint("Names outside of the file", k_bold) << "\n";
    for (std::size_t i = 0; i < shown.size() && (i < k_most || style_.all); ++i) {
      out_ << "  " << shown[i]->kind << "  " << shown[i]->target;
      if (!shown[i]->where.empty()) out_ << "  (in " << shown[i]->where << ")";
      out_ << "\n";
    }
    if (shown.size() > k_most && !style_.all)
      out_ << "  and " << shown.size() - k_most << " more\n";
  }

  std::string paint(const std::string& text, const char* colour) const {
    return style_.colour ? colour + text + "\x1b[0m" : text;
  }

  std::ostream& out_;
  const Explained& explained_;
  const ExplainStyle& style_;
};

} // namespace

void explain_as_text(std::ostream& out, const Explained& explained, const ExplainStyle& style) {
  Text(out, explained, style).write();
}

void explain_as_json(std::ostream& out, const Explained& explained, const ExplainStyle& style) {
  const ScanResult& result = explained.result;
  json::object object;
  object["path"] = escaped(result.path);
  if (result.tree) object["tree"] = true;
  object["size"] = result.size;
  object["sha256"] = result.sha256;
  object["format"] = result.report.format;
  object["verdict"] = to_string(result.verdict.kind);
  if (!result.error.empty()) object["error"] = escaped(result.error);
  json::array streams;
  for (const Stream& stream: streams_of(explained, style)) {
    json::object one;
    one["where"] = stream.where;
    one["format"] = stream.format;
    for (const Lines& lines: stream.kinds) {
      json::array texts;
      for (const Listing* line: lines.lines)
        texts.push_back(json::object{{"offset", line->offset}, {"text", line->text}});
      one[lines.kind] = std::move(texts);
    }
    streams.push_back(std::move(one));
  }
  object["streams"] = std::move(streams);
  json::array findings;
  for (const Finding& finding: result.verdict.findings) {
    json::object one = to_json(finding);
    one["meaning"] = meaning_of_rule(finding.rule);
    findings.push_back(std::move(one));
  }
  object["findings"] = std::move(findings);
  json::array gaps;
  for (const Gap& gap: result.verdict.gaps)
    gaps.push_back(to_json(gap));
  object["gaps"] = std::move(gaps);
  json::array references;
  for (const Reference& reference: result.report.references)
    references.push_back(json::object{{"kind", reference.kind},
                                      {"target", reference.target},
                                      {"where", reference.where},
                                      {"offset", reference.offset}});
  object["references"] = std::move(references);
  for (const Listing& listing: explained.listings)
    if (listing.kind == "left-out") object["left_out"] = listing.text;
  out << json::serialize(object) << "\n";
}

} // namespace hubgate
