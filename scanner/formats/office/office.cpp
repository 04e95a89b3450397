// Office documents as zip (ECMA-376: OOXML; ODF): a refinement of zip, which scans every member.
// Here the parts are judged by what the document does with them: macros, links, templates. See
// README.md.
#include "scanner/core/format.hpp"
#include "scanner/core/path_kind.hpp"
#include "scanner/core/session.hpp"
#include "scanner/formats/xml/markup.hpp"
#include "scanner/formats/zip/reader.hpp"

#include <algorithm>
#include <array>
#include <string>

namespace hubgate {
namespace {

constexpr std::size_t k_told = 5;
constexpr std::uint64_t k_max_part = std::uint64_t{64} << 20; ///< of XML that is read here
constexpr std::string_view k_atlas = "AML.T0011.000";

constexpr std::array<Rule, 5> k_rules{{
    {"office-macro", "script", Severity::suspicious, Reach::load, "CWE-94", k_atlas, "RTF-018",
     "the document carries macros"},
    {"office-remote-template", "reference", Severity::malicious, Reach::load, "CWE-829", k_atlas,
     "RTF-018", "the document fetches a template, an object or a frame from elsewhere when opened"},
    {"office-external-link", "reference", Severity::suspicious, Reach::load, "CWE-829", k_atlas,
     "RTF-018", "cells are filled from another file or address"},
    {"office-dde", "script", Severity::malicious, Reach::load, "CWE-78", k_atlas, "RTF-018",
     "a field or link that starts a program when it is brought up to date"},
    {"office-active-object", "executable", Severity::suspicious, Reach::load, "CWE-506", k_atlas,
     "RTF-018", "an ActiveX control or embedded object, which may be a program"},
}};

const Rule& k_macro = k_rules[0];
const Rule& k_template = k_rules[1];
const Rule& k_link = k_rules[2];
const Rule& k_dde = k_rules[3];
const Rule& k_active = k_rules[4];

std::string folded(std::string_view text) {
  std::string out(text);
  for (char& c: out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  return out;
}

bool ends_with(std::string_view text, std::string_view end) {
  return text.ends_with(end);
}

class Scan {
public:
  Scan(Source& source, Session& session) : source_(source), session_(session) {}
  Reading run();

private:
  void part(const zip::Member& member);
  void relations(xml::MarkupReader& in, const zip::Member& member);
  void content(xml::MarkupReader& in, const zip::Member& member);
  void tell(const Rule& rule, const zip::Member& member, const std::string& evidence) {
    const auto index = static_cast<std::size_t>(&rule - k_rules.data());
    if (++told_[index] <= k_told)
      session_.find(rule, member.central.local_offset, 0, member.central.name + ": " + evidence);
  }

  Source& source_;
  Session& session_;
  std::array<std::size_t, k_rules.size()> told_{};
};

// *.rels: what the part beside them is connected with, and which of it lies elsewhere.
void Scan::relations(xml::MarkupReader& in, const zip::Member& member) {
  for (xml::Event event = in.next(); event != xml::Event::finish && event != xml::Event::foreign;
       event = in.next()) {
    if (event != xml::Event::start || in.local_name() != "Relationship") continue;
    const std::string* mode = in.attribute("TargetMode");
    const std::string* type = in.attribute("Type");
    const std::string* target = in.attribute("Target");
    if (mode == nullptr || type == nullptr || target == nullptr || folded(*mode) != "external")
      continue;
    const std::string kind =
        type->substr(type->rfind('/') == std::string::npos ? 0 : type->rfind('/') + 1);
    const std::string shown = kind + " \"" + *target + "\"";
    if (kind == "hyperlink" || kind == "image" || kind == "video" || kind == "audio" ||
        kind == "media")
      continue;
    if (kind == "attachedTemplate" || kind == "oleObject" || kind == "frame" ||
        kind == "subDocument" || kind == "control" || kind == "package") {
      // A template of the writer's own machine is what honest documents remember.
      const PathKind place = path_kind(*target);
      const std::string address = folded(*target);
      const bool local = place == PathKind::plain ||
                         (kind == "attachedTemplate" &&
                          ((address.starts_with("file:///") && address.find("file:////") != 0) ||
                           (place == PathKind::absolute && !address.starts_with("\\\\") &&
                            !address.starts_with("//"))));
      if (!local) tell(k_template, member, shown);
    } else if (kind.starts_with("externalLink") || kind == "xlExternalLinkPath" ||
               kind == "xlPathMissing") {
      tell(k_link, member, shown);
    }
  }
}

void Scan::content(xml::MarkupReader& in, const zip::Member& member) {
  std::string instruction; // a field's text may be cut into runs
  bool in_instruction = false;
  const auto judge_field = [&] {
    const std::string field = folded(instruction);
    const std::size_t word = field.find_first_not_of(" \t\r\n\"");
    if (word != std::string::npos && field.compare(word, 3, "dde") == 0)
      tell(k_dde, member, "field " + instruction.substr(0, 200));
    instruction.clear();
  };
  for (xml::Event event = in.next(); event != xml::Event::finish && event != xml::Event::foreign;
       event = in.next()) {
    if (event == xml::Event::text && in_instruction) {
      if (instruction.size() < 4096) instruction += in.text();
      continue;
    }
    if (event == xml::Event::end) {
      if (in.local_name() == "instrText") in_instruction = false;
      if (in.local_name() == "p") judge_field();
      continue;
    }
    if (event != xml::Event::start) continue;
    const std::string_view name = in.local_name();
    in_instruction = name == "instrText" && !in.is_empty();
    if (name == "fldSimple") {
      judge_field();
      for (const xml::Attribute& item: in.attributes())
        if (item.name.ends_with("instr")) instruction = item.value;
      judge_field();
    }
    if (name == "ddeLink" || name == "dde-source" || name == "dde-link") {
      std::string shown;
      for (const xml::Attribute& item: in.attributes())
        shown += " " + item.name + "=\"" + item.value + "\"";
      tell(k_dde, member, "<" + in.name() + shown + ">");
    }
  }
  judge_field();
}

void Scan::part(const zip::Member& member) {
  const std::string name = folded(member.central.name);
  if (ends_with(name, "vbaproject.bin") || name.find("/macrosheets/") != std::string::npos ||
      name.find("basic/script-lc.xml") != std::string::npos ||
      (name.find("basic/") != std::string::npos && ends_with(name, "script-lb.xml")) ||
      name.starts_with("scripts/"))
    tell(k_macro, member, std::to_string(member.central.size) + " bytes");
  if (name.find("/activex/") != std::string::npos && ends_with(name, ".bin"))
    tell(k_active, member, "an ActiveX control");
  if (name.find("/embeddings/") != std::string::npos && name.find("oleobject") != std::string::npos)
    tell(k_active, member, "an embedded object");
  // What Office puts beside its XML in formats of its own: printers, fonts, pictures of Windows.
  for (const std::string_view end: {".emf", ".wmf", ".wdp", ".fntdata", ".odttf"})
    if (ends_with(name, end)) session_.raw_member(member.central.name);
  if (name.find("/printersettings/") != std::string::npos) session_.raw_member(member.central.name);
  const bool relations_part = ends_with(name, ".rels");
  const bool content_part =
      ends_with(name, ".xml") &&
      (name.starts_with("word/") || name.find("externallink") != std::string::npos ||
       name == "content.xml");
  if (!relations_part && !content_part) return;
  if (!member.data_begin || !zip::is_supported(member.central.method)) return;
  if (member.central.size > k_max_part) {
    session_.gap(Reason::budget, Reach::data, member.central.local_offset,
                 member.central.name + " is too long");
    return;
  }
  const auto source = member.open(source_, session_.budget());
  xml::MarkupReader in(*source, xml::Dialect::xml);
  if (relations_part)
    relations(in, member);
  else
    content(in, member);
}

Reading Scan::run() {
  const auto directory = zip::read_directory(source_, session_.budget());
  if (!directory) return Reading::none;
  const bool document =
      std::any_of(directory->members.begin(), directory->members.end(), [](const auto& member) {
        const std::string name = folded(member.central.name);
        return name == "[content_types].xml" || name == "content.xml";
      });
  if (!document) return Reading::none;
  for (const zip::Member& member: directory->members) {
    part(member);
    if (!session_.budget().time_left()) {
      session_.gap(Reason::budget, Reach::load, member.central.local_offset, "out of time");
      return Reading::broken;
    }
  }
  session_.ends_at(directory->end.end);
  return Reading::valid;
}

Claim probe(const Probe& probe) {
  if (probe.tail.empty() || !starts_with(probe.head, zip::k_local_magic)) return Claim::no;
  const std::string tail = folded(as_text(probe.tail));
  for (const std::string_view name: {"[content_types].xml", "content.xml"})
    if (tail.find(name) != std::string::npos) return Claim::yes;
  return Claim::no;
}

Reading scan(Source& source, Session& session) {
  return Scan(source, session).run();
}

} // namespace

extern const Format format_office;
const Format format_office{
    .name = "office", .family = "zip", .probe = probe, .scan = scan, .rules = k_rules};

} // namespace hubgate
