// XML: what every parser of it may be made to fetch, include or multiply, whatever the vocabulary
// (XML 1.0, XInclude 1.0, XML Schema's instance namespace). Vocabularies with meanings of their own
// are in pmml.cpp, openvino.cpp and svg.cpp. See README.md.
#include "scanner/core/format.hpp"
#include "scanner/core/path_kind.hpp"
#include "scanner/formats/xml/entities.hpp"
#include "scanner/formats/xml/rules.hpp"

#include <algorithm>

namespace hubgate {
namespace xml {
namespace {

constexpr std::size_t k_told = 5; ///< findings of one rule in one document

// Where the declarations of published vocabularies stand; each ends in '/', so that no other host
// begins the same way.
constexpr std::array<std::string_view, 27> k_published{
    "http://www.w3.org/",
    "https://www.w3.org/",
    "http://www.apple.com/DTDs/",
    "https://www.apple.com/DTDs/",
    "http://www.oasis-open.org/",
    "https://www.oasis-open.org/",
    "http://docs.oasis-open.org/",
    "http://docbook.org/",
    "http://www.docbook.org/",
    "https://docbook.org/",
    "http://www.dmg.org/",
    "http://dmg.org/",
    "http://java.sun.com/",
    "http://dtd.nlm.nih.gov/",
    "https://dtd.nlm.nih.gov/",
    "http://jats.nlm.nih.gov/",
    "https://jats.nlm.nih.gov/",
    "http://www.ncbi.nlm.nih.gov/",
    "https://www.ncbi.nlm.nih.gov/",
    "http://www.freedesktop.org/",
    "http://www.gnome.org/",
    "http://glade.gnome.org/",
    "http://www.daisy.org/",
    "http://xml.cxml.org/",
    "http://www.musicxml.org/",
    "http://www.tei-c.org/",
    "urn:",
};

bool is_published(std::string_view address) {
  return address == "about:legacy-compat" ||
         std::any_of(k_published.begin(), k_published.end(),
                     [&](std::string_view prefix) { return address.starts_with(prefix); });
}

constexpr std::array<std::string_view, 9> k_code_namespaces{
    "java:",
    "clitype:",
    "xalan://",
    "http://xml.apache.org/xalan/java",
    "http://xml.apache.org/xslt/java",
    "http://saxon.sf.net/java-type",
    "http://icl.com/saxon/java",
    "http://php.net/xsl",
    "http://www.oracle.com/XSL/Transform/java/",
};

// What gadget chains of XMLDecoder, XStream, Spring beans and XAML end in.
constexpr std::array<std::string_view, 14> k_dangerous_classes{
    "java.lang.ProcessBuilder",
    "java.lang.Runtime",
    "java.lang.ProcessImpl",
    "java.net.URLClassLoader",
    "javax.script.ScriptEngineManager",
    "javax.naming.InitialContext",
    "javax.imageio.ImageIO$ContainsFilter",
    "com.sun.rowset.JdbcRowSetImpl",
    "com.sun.org.apache.xalan.internal.xsltc.trax.TemplatesImpl",
    "org.springframework.context.support.FileSystemXmlApplicationContext",
    "org.springframework.context.support.ClassPathXmlApplicationContext",
    "groovy.lang.GroovyShell",
    "java.io.FileOutputStream",
    "java.io.PrintWriter",
};

bool is_dangerous_class(std::string_view name) {
  return std::find(k_dangerous_classes.begin(), k_dangerous_classes.end(), name) !=
         k_dangerous_classes.end();
}

std::string folded(std::string_view text) {
  std::string out(text);
  for (char& c: out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  return out;
}

class Scan {
public:
  Scan(Source& source, Session& session)
      : session_(session), reader_(source, Dialect::xml), held_(session) {}
  Reading run();

private:
  void on_doctype();
  void on_entity();
  void on_instruction();
  void on_start();
  void on_namespace(const Attribute& item);
  void on_schema(std::string_view name, std::string_view value);
  void outside(const Rule& rule, std::string_view what, const std::string& target);
  bool is_xinclude() const;

  Session& session_;
  MarkupReader reader_;
  Held held_;
  Entities entities_;
  std::unique_ptr<Vocabulary> vocabulary_;
  std::vector<std::string> xinclude_; ///< prefixes of XInclude, with their colon
  bool doctype_ = false;
  std::uint64_t doctype_at_ = 0;
  bool root_seen_ = false;
  bool html_ = false;
  bool installed_ = false; ///< the doctype's declarations are a file of the machine
};

// "-//CES//DTD XML cesAlign//EN": the formal public identifier of a document type (ISO 8879). Those
// of the W3C and OASIS have addresses of their own.
bool is_formal(std::string_view id) {
  if (id.starts_with("-//W3C//") || id.starts_with("-//OASIS//")) return false;
  return (id.starts_with("-//") || id.starts_with("+//") || id.starts_with("ISO ")) &&
         id.find("//DTD ") != std::string_view::npos;
}

// "http://127.0.0.1/", "http://[::1]/", "http://localhost/", "http://metadata/": a machine of the
// reader's own network, or one without a name.
bool names_machine(std::string_view address) {
  const std::size_t scheme = address.find("://");
  if (scheme == std::string_view::npos) return true;
  std::string_view host = address.substr(scheme + 3);
  host = host.substr(0, host.find_first_of("/?#"));
  if (host.find('@') != std::string_view::npos || host.starts_with('[')) return true;
  host = host.substr(0, host.find(':'));
  return host.find('.') == std::string_view::npos ||
         host.find_first_not_of("0123456789.xX") == std::string_view::npos;
}

// "file:///usr/share/xml/docbook/…/docbookx.dtd": where systems install the DTDs of published
// vocabularies. A parser that reads it gets declarations that no document wrote, and what isn't
// there is an error; neither says anything to anybody else.
bool is_installed_dtd(std::string_view target) {
  if (target.starts_with("file://")) target.remove_prefix(7);
  constexpr std::array<std::string_view, 5> k_folders{"/usr/share/xml/", "/usr/share/sgml/",
                                                      "/usr/local/share/xml/",
                                                      "/usr/local/share/sgml/", "/etc/xml/"};
  return target.ends_with(".dtd") && target.find("..") == std::string_view::npos &&
         target.find('%') == std::string_view::npos &&
         std::any_of(k_folders.begin(), k_folders.end(),
                     [&](std::string_view folder) { return target.starts_with(folder); });
}

// Something that the parser reads for the document: from where decides.
void Scan::outside(const Rule& rule, std::string_view what, const std::string& target) {
  const std::string evidence = std::string(what) + " \"" + target + "\"";
  const PathKind kind = path_kind(target);
  // "../fonts.dtd" is how whole trees share their declarations; a DTD gives no content away.
  const bool shared =
      &rule == &k_external_dtd && kind == PathKind::traversal && target.ends_with(".dtd");
  installed_ = &rule == &k_external_dtd && is_installed_dtd(target);
  const bool harmless = kind == PathKind::plain || shared || installed_ ||
                        (kind == PathKind::url && is_published(target));
  // With a public identifier the parser's catalogue knows the declarations, and the address is
  // where they once stood; a parser without a catalogue still fetches it.
  const bool public_type = &rule == &k_external_dtd && is_formal(reader_.public_id()) &&
                           kind == PathKind::url && folded(target).starts_with("http") &&
                           !names_machine(target);
  held_.find(harmless ? k_outside : rule, reader_.offset(),
             harmless ? evidence : evidence + ", which " + std::string(to_string(kind)),
             public_type && !harmless ? std::optional(Severity::suspicious) : std::nullopt);
  if (kind == PathKind::plain && !target.empty()) held_.refer("file", reader_.offset(), target);
}

void Scan::on_doctype() {
  doctype_ = true;
  doctype_at_ = reader_.offset();
  html_ = folded(reader_.name()) == "html";
  if (!html_) held_.settle();
  if (reader_.has_external())
    outside(k_external_dtd, "<!DOCTYPE " + reader_.name() + " SYSTEM", reader_.system_id());
}

void Scan::on_entity() {
  held_.settle();
  const std::string shown = std::string(reader_.is_parameter() ? "% " : "") + reader_.name();
  // The document's own declarations come first: a DTD of the machine whose parameters are changed
  // tells in its errors what is in a file (how XXE works without an outward connection).
  if (installed_ && reader_.is_parameter())
    held_.find(k_external_dtd, reader_.offset(),
               "<!ENTITY " + shown + ", which changes what the DTD of the machine says");
  if (reader_.has_external())
    outside(k_external_entity, "<!ENTITY " + shown + " SYSTEM", reader_.system_id());
  else if (!reader_.is_parameter())
    entities_.declare(reader_.name(), reader_.value(), reader_.offset());
}

void Scan::on_instruction() {
  if (reader_.name() == "xml" && reader_.offset() < 8) held_.settle();
  if (reader_.name() != "xml-stylesheet") return;
  const std::string& text = reader_.text();
  const std::size_t at = text.find("href=");
  if (at == std::string::npos || at + 6 > text.size()) return;
  const std::size_t end = text.find(text[at + 5], at + 6);
  const std::string href = text.substr(at + 6, end == std::string::npos ? end : end - at - 6);
  const PathKind kind = path_kind(href);
  if (kind == PathKind::url && !is_published(href))
    held_.find(k_outside, reader_.offset(), "stylesheet \"" + href + "\"");
}

void Scan::on_namespace(const Attribute& item) {
  if (item.value.starts_with("http://www.w3.org/") && item.value.ends_with("/XInclude"))
    xinclude_.push_back(item.name.size() > 6 ? item.name.substr(6) + ":" : "");
  for (const std::string_view code: k_code_namespaces)
    if (item.value.starts_with(code))
      held_.find(k_code, reader_.offset(), item.name + "=\"" + item.value + "\"");
}

void Scan::on_schema(std::string_view name, std::string_view value) {
  const bool pairs = name == "schemaLocation";
  std::size_t index = 0;
  for (std::size_t at = 0; at < value.size() && index < 64;) {
    const std::size_t begin = value.find_first_not_of(" \t\r\n", at);
    if (begin == std::string_view::npos) break;
    const std::size_t end = std::min(value.find_first_of(" \t\r\n", begin), value.size());
    const std::string_view target = value.substr(begin, end - begin);
    at = end;
    if (pairs && index++ % 2 == 0) continue;
    // "../x.xsd" and "C:\work\x.xsd" are how honest tools write the place that they had it from.
    const std::string folded_target = folded(target);
    if (target.starts_with("//") || target.starts_with("\\\\") ||
        folded_target.starts_with("file://") || target.starts_with("/etc/") ||
        target.starts_with("/proc/"))
      held_.find(k_schema_location, reader_.offset(),
                 std::string(name) + " \"" + std::string(target) + "\"");
    else if (path_kind(target) == PathKind::url && !is_published(target))
      held_.find(k_outside, reader_.offset(),
                 std::string(name) + " \"" + std::string(target) + "\"");
  }
}

bool Scan::is_xinclude() const {
  return reader_.local_name() == "include" &&
         std::any_of(xinclude_.begin(), xinclude_.end(), [&](const std::string& prefix) {
           return reader_.name() == prefix + "include";
         });
}

void Scan::on_start() {
  if (!root_seen_) {
    root_seen_ = true;
    vocabulary_ = vocabulary_of(reader_);
    if (vocabulary_) held_.settle();
    html_ = html_ || folded(reader_.local_name()) == "html";
    const bool model = reader_.local_name() == "PMML" || reader_.local_name() == "net";
    if (doctype_ && model && vocabulary_)
      held_.find(k_doctype_in_model, doctype_at_, "<!DOCTYPE in front of <" + reader_.name() + ">");
  }
  for (const Attribute& item: reader_.attributes()) {
    if (item.name.starts_with("xmlns")) on_namespace(item);
    const std::size_t colon = item.name.rfind(':');
    const std::string_view local =
        std::string_view(item.name).substr(colon == std::string::npos ? 0 : colon + 1);
    if (local == "schemaLocation" || local == "noNamespaceSchemaLocation")
      on_schema(local, item.value);
    if ((local == "class" || local == "type") && is_dangerous_class(item.value))
      held_.find(k_object, reader_.offset(),
                 "<" + reader_.name() + " " + item.name + "=\"" + item.value + "\">");
    if (local == "ObjectType" && item.value.find("Process}") != std::string::npos)
      held_.find(k_object, reader_.offset(),
                 "<" + reader_.name() + " ObjectType=\"" + item.value + "\">");
  }
  if (is_dangerous_class(reader_.name()))
    held_.find(k_object, reader_.offset(), "<" + reader_.name() + ">");
  if (is_xinclude()) {
    const std::string* href = reader_.attribute("href");
    outside(k_xinclude, "xi:include", href == nullptr ? std::string() : *href);
  }
  // msxsl:script
  if (reader_.local_name() == "script" && reader_.name() != "script" &&
      reader_.attribute("implements-prefix") != nullptr)
    held_.find(k_code, reader_.offset(), "<" + reader_.name() + ">");
}

Reading Scan::run() {
  for (std::size_t events = 0;; ++events) {
    const Event event = reader_.next();
    switch (event) {
    case Event::doctype:
      on_doctype();
      break;
    case Event::entity:
      on_entity();
      break;
    case Event::declaration:
      if (reader_.name() == "ELEMENT" || reader_.name() == "ATTLIST" ||
          reader_.name() == "NOTATION")
        held_.settle();
      break;
    case Event::instruction:
      on_instruction();
      break;
    case Event::start:
      on_start();
      [[fallthrough]];
    case Event::end:
    case Event::text:
      if (vocabulary_) vocabulary_->on(event, reader_, held_);
      break;
    case Event::comment:
      break;
    case Event::foreign:
      if (!held_.settled()) return Reading::none;
      session_.gap(Reason::malformed, Reach::data, reader_.offset(),
                   "a byte that XML can't have stands in it");
      return Reading::broken;
    case Event::finish:
      break;
    }
    if (event == Event::finish) break;
    if (events % 4096 == 4095) {
      if (held_.empty() || held_.settled())
        session_.release(reader_.position() - std::min(reader_.position(), k_held_tail));
      if (!session_.budget().time_left()) {
        session_.gap(Reason::budget, Reach::data, reader_.offset(), "out of time");
        return Reading::broken;
      }
    }
  }
  if (!held_.settled()) {
    if (!reader_.is_well_formed() || html_) return Reading::none;
    held_.settle();
  }
  if (vocabulary_) vocabulary_->finish(held_);
  if (const auto bomb = entities_.bomb(reader_.uses(), reader_.position()))
    held_.find(k_entity_bomb, bomb->offset, bomb->evidence);
  return Reading::valid;
}

Claim probe(const Probe& probe) {
  using namespace std::string_view_literals;
  Bytes head = probe.head;
  if (starts_with(head, "\xef\xbb\xbf")) head = head.subspan(3);
  for (const std::string_view wide: {"\xff\xfe<\0"sv, "\xfe\xff\0<"sv, "<\0"sv, "\0<\0"sv,
                                     "\xff\xfe\0\0<\0"sv, "\0\0\xfe\xff\0\0\0<"sv, "\0\0\0<"sv})
    if (starts_with(head, wide)) return Claim::maybe;
  std::size_t at = 0;
  while (at < head.size() &&
         (head[at] == ' ' || head[at] == '\n' || head[at] == '\r' || head[at] == '\t'))
    ++at;
  if (at + 1 >= head.size() || head[at] != '<') return Claim::no;
  const std::uint8_t c = head[at + 1];
  const bool markup = c == '?' || c == '!' || c == '_' || (c >= 'a' && c <= 'z') ||
                      (c >= 'A' && c <= 'Z') || c >= 0x80;
  return markup ? Claim::maybe : Claim::no;
}

Reading scan(Source& source, Session& session) {
  return Scan(source, session).run();
}

} // namespace

void Held::find(const Rule& rule, std::uint64_t offset, std::string evidence,
                std::optional<Severity> severity) {
  const auto index = static_cast<std::size_t>(&rule - k_rules.data());
  if (++told_[index] > k_told) return;
  Item item{&rule, {}, offset, std::move(evidence), severity};
  if (settled_)
    tell(item);
  else
    items_.push_back(std::move(item));
}

void Held::refer(std::string_view kind, std::uint64_t offset, std::string target) {
  Item item{nullptr, kind, offset, std::move(target), std::nullopt};
  if (settled_)
    tell(item);
  else if (items_.size() < k_max_references)
    items_.push_back(std::move(item));
}

void Held::tell(const Item& item) {
  if (item.rule == nullptr)
    session_.refer(item.kind, item.offset, item.text);
  else
    session_.find(*item.rule, item.offset, 0, item.text, {item.severity, {}, {}, {}, {}});
}

void Held::settle() {
  settled_ = true;
  for (const Item& item: items_)
    tell(item);
  items_.clear();
}

std::unique_ptr<Vocabulary> vocabulary_of(const MarkupReader& root) {
  const std::string_view name = root.local_name();
  if (name == "PMML") return make_pmml();
  if (name == "net" && root.attribute("version") != nullptr) return make_openvino();
  if (name == "CustomLayer" && root.attribute("type") != nullptr) return make_openvino();
  if (name == "svg") return make_svg();
  return nullptr;
}

} // namespace xml

extern const Format format_xml;
const Format format_xml{
    .name = "xml", .family = "text", .probe = xml::probe, .scan = xml::scan, .rules = xml::k_rules};

} // namespace hubgate
