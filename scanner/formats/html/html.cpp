// HTML: pages that come with models and data sets. Read with the tokeniser of XML in HTML's
// dialect; what runs when somebody opens the page is told. See README.md.
#include "scanner/core/format.hpp"
#include "scanner/core/session.hpp"
#include "scanner/formats/xml/markup.hpp"

#include <algorithm>
#include <array>
#include <string>

namespace hubgate {
namespace {

using xml::Attribute;
using xml::Event;

constexpr std::size_t k_told = 5;

constexpr std::array<Rule, 2> k_rules{{
    {"html-script", "script", Severity::informational, Reach::load, "CWE-79", "AML.T0011.000",
     "RTF-019", "a page that runs script in the browser that shows it"},
    {"html-active-content", "script", Severity::suspicious, Reach::load, "CWE-94", "AML.T0011.000",
     "RTF-019", "a page that starts programs, or hides the script that it runs"},
}};

const Rule& k_script = k_rules[0];
const Rule& k_active = k_rules[1];

// What pages do only to reach the machine, or to hide what they do; without spaces, in lower case.
struct Pattern {
  std::string_view word;
  std::string_view what;
};
constexpr std::array<Pattern, 16> k_patterns{{
    {"activexobject(\"wscript", "starts programs by ActiveX"},
    {"activexobject('wscript", "starts programs by ActiveX"},
    {"activexobject(\"shell", "starts programs by ActiveX"},
    {"activexobject('shell", "starts programs by ActiveX"},
    {"createobject(\"wscript", "starts programs by VBScript"},
    {"createobject(\"shell", "starts programs by VBScript"},
    {"createobject(\"scripting.filesystem", "writes files by VBScript"},
    {"eval(atob(", "runs script that is hidden in base64"},
    {"eval(unescape(", "runs script that is hidden by escapes"},
    {"eval(string.fromcharcode(", "runs script that is hidden in numbers"},
    {"function(atob(", "runs script that is hidden in base64"},
    {"document.write(unescape(", "writes a page that is hidden by escapes"},
    {"document.write(atob(", "writes a page that is hidden in base64"},
    {"require('child_process')", "starts programs where the page has Node"},
    {"require(\"child_process\")", "starts programs where the page has Node"},
    {"ms-msdt:", "opens the support tool that runs commands"},
}};

std::string squeezed(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c: text) {
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r') continue;
    out += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  }
  return out;
}

class Scan {
public:
  Scan(Source& source, Session& session) : session_(session), reader_(source, xml::Dialect::html) {}
  Reading run();

private:
  void start();
  void script(std::string_view text);
  void tell(const Rule& rule, std::string_view evidence) {
    std::size_t& told = &rule == &k_script ? scripts_ : active_;
    if (++told <= k_told) session_.find(rule, reader_.offset(), 0, evidence);
  }

  Session& session_;
  xml::MarkupReader reader_;
  bool in_script_ = false;
  std::string last_; ///< the end of the piece before, for a pattern that is cut in two
  std::size_t scripts_ = 0;
  std::size_t active_ = 0;
};

void Scan::script(std::string_view text) {
  constexpr std::size_t k_overlap = 64;
  const std::string all = last_ + squeezed(text);
  for (const Pattern& pattern: k_patterns)
    if (const std::size_t at = all.find(pattern.word); at != std::string::npos) {
      tell(k_active, std::string(pattern.what) + ": " + all.substr(at, 200));
      last_.clear();
      return;
    }
  last_ = all.substr(all.size() - std::min(all.size(), k_overlap));
}

void Scan::start() {
  const std::string& name = reader_.name();
  const std::string tag = "<" + name;
  if (name == "hta:application") tell(k_active, tag + "> is a program of its own on Windows");
  if (name == "script") {
    last_.clear();
    const std::string* language = reader_.attribute("language");
    const std::string* type = reader_.attribute("type");
    const std::string kind =
        squeezed((language == nullptr ? "" : *language) + " " + (type == nullptr ? "" : *type));
    if (kind.find("vbs") != std::string::npos)
      tell(k_active, "VBScript");
    else if (kind.find("json") == std::string::npos)
      tell(k_script, reader_.attribute("src") != nullptr
                         ? "<script src=\"" + *reader_.attribute("src") + "\">"
                         : "<script>");
    in_script_ = !reader_.is_empty();
  }
  for (const Attribute& item: reader_.attributes()) {
    const bool handler = item.name.size() > 4 && item.name.starts_with("on");
    const std::string value = squeezed(std::string_view(item.value).substr(0, 4096));
    if (handler) {
      last_.clear();
      script(item.value);
      last_.clear();
    }
    if (handler || value.starts_with("javascript:"))
      tell(k_script, tag + " " + item.name + "=\"" + item.value.substr(0, 200) + "\">");
    if (value.starts_with("vbscript:") || value.starts_with("ms-msdt:"))
      tell(k_active, tag + " " + item.name + "=\"" + item.value.substr(0, 200) + "\">");
  }
}

Reading Scan::run() {
  for (std::size_t events = 0;; ++events) {
    const Event event = reader_.next();
    if (event == Event::finish) break;
    if (event == Event::foreign) {
      if (scripts_ + active_ == 0) return Reading::none;
      session_.gap(Reason::malformed, Reach::data, reader_.offset(), "a byte that is no text");
      return Reading::broken;
    }
    if (event == Event::start) start();
    if (event == Event::end && reader_.name() == "script") in_script_ = false;
    if (event == Event::text && in_script_) script(reader_.text());
    if (events % 4096 == 4095) {
      session_.release(reader_.position() - std::min(reader_.position(), k_held_tail));
      if (!session_.budget().time_left()) {
        session_.gap(Reason::budget, Reach::data, reader_.offset(), "out of time");
        return Reading::broken;
      }
    }
  }
  return Reading::valid;
}

// Whether the tag `word` stands in the text: PMML's <Header> is no <head>.
bool contains(std::string_view text, std::string_view word) {
  const auto same = [](char a, char b) {
    return (a >= 'A' && a <= 'Z' ? static_cast<char>(a + 32) : a) == b;
  };
  for (auto at = text.begin();; ++at) {
    at = std::search(at, text.end(), word.begin(), word.end(), same);
    if (at == text.end()) return false;
    const auto behind = at + static_cast<std::ptrdiff_t>(word.size());
    const char next = behind == text.end() ? '>' : *behind;
    if (next == '>' || next == ' ' || next == '\t' || next == '\r' || next == '\n' || next == '/')
      return true;
  }
}

// Markup comes first in a page; text that speaks of it later is no page.
Claim probe(const Probe& probe) {
  std::string_view head = as_text(probe.head);
  if (head.starts_with("\xef\xbb\xbf")) head.remove_prefix(3);
  const std::size_t first = head.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos || head[first] != '<') return Claim::no;
  for (const std::string_view word:
       {"<html", "<!doctype html", "<head", "<body", "<script", "<hta:application"})
    if (contains(head, word)) return Claim::maybe;
  return Claim::no;
}

Reading scan(Source& source, Session& session) {
  return Scan(source, session).run();
}

} // namespace

extern const Format format_html;
const Format format_html{
    .name = "html", .family = "text", .probe = probe, .scan = scan, .rules = k_rules};

} // namespace hubgate
