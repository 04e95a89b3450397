#pragma once
// Rules of XML in all its uses, and the collector that holds findings back until the text has
// proven to be XML.
#include "scanner/core/session.hpp"
#include "scanner/formats/xml/markup.hpp"

#include <array>
#include <memory>
#include <string>
#include <vector>

namespace hubgate::xml {

inline constexpr std::string_view k_atlas_load = "AML.T0011.000";
inline constexpr std::string_view k_atlas_data = "AML.T0010.002";

inline constexpr std::array<Rule, 14> k_rules{{
    {"xml-external-entity", "reference", Severity::malicious, Reach::load, "CWE-611", k_atlas_data,
     "RTF-003 DAT-019",
     "an entity that a parser fills from a file of the reader's machine or from the network"},
    {"xml-external-dtd", "reference", Severity::malicious, Reach::load, "CWE-611", k_atlas_data,
     "RTF-003 DAT-019",
     "declarations that a parser fetches from the reader's machine or from the network"},
    {"xml-doctype-in-model", "structure", Severity::malicious, Reach::load, "CWE-611", k_atlas_load,
     "RTF-003 RTF-005",
     "a model format without a DTD declares one: the first half of every entity attack"},
    {"xml-entity-bomb", "bomb", Severity::malicious, Reach::load, "CWE-776", "AML.T0029",
     "RTF-003 RTF-005 DAT-019",
     "entities that multiply each other until the parser's memory is full"},
    {"xml-xinclude", "reference", Severity::malicious, Reach::load, "CWE-611", k_atlas_data,
     "RTF-003 DAT-019", "an inclusion that pulls in a file of the reader's machine or an address"},
    {"xml-schema-location", "reference", Severity::suspicious, Reach::data, "CWE-918", k_atlas_data,
     "RTF-003 DAT-019", "a schema is to be read from the reader's own machine or a share"},
    {"xml-outside-reference", "reference", Severity::informational, Reach::data, "", "",
     "RTF-003 DAT-019", "declarations, inclusions or schemas that stand in other files"},
    {"xml-code", "code", Severity::suspicious, Reach::load, "CWE-94", k_atlas_load, "RTF-003",
     "a stylesheet that calls Java, .NET, PHP or script code"},
    {"xml-object", "dangerous-call", Severity::malicious, Reach::load, "CWE-502", k_atlas_load,
     "RTF-004", "objects that a Java or .NET reader of XML builds, and that start programs"},
    {"pmml-function", "unknown-call", Severity::suspicious, Reach::load, "CWE-470", k_atlas_load,
     "RTF-004", "a function that is a Java class: evaluators load it by its name"},
    {"pmml-extension", "unknown-class", Severity::suspicious, Reach::load, "CWE-470", k_atlas_load,
     "RTF-004", "an extension that names a class or holds code"},
    {"openvino-operation", "unknown-class", Severity::suspicious, Reach::load, "CWE-829",
     k_atlas_load, "RTF-005", "a layer that only a native extension library can run"},
    {"openvino-extent", "structure", Severity::suspicious, Reach::load, "CWE-125", k_atlas_load,
     "RTF-005", "a constant whose bytes can't lie where the layer says"},
    {"svg-script", "script", Severity::suspicious, Reach::load, "CWE-79", k_atlas_data, "DAT-016",
     "a drawing that runs script in whatever shows it"},
}};

inline constexpr const Rule& k_external_entity = k_rules[0];
inline constexpr const Rule& k_external_dtd = k_rules[1];
inline constexpr const Rule& k_doctype_in_model = k_rules[2];
inline constexpr const Rule& k_entity_bomb = k_rules[3];
inline constexpr const Rule& k_xinclude = k_rules[4];
inline constexpr const Rule& k_schema_location = k_rules[5];
inline constexpr const Rule& k_outside = k_rules[6];
inline constexpr const Rule& k_code = k_rules[7];
inline constexpr const Rule& k_object = k_rules[8];
inline constexpr const Rule& k_pmml_function = k_rules[9];
inline constexpr const Rule& k_pmml_extension = k_rules[10];
inline constexpr const Rule& k_openvino_operation = k_rules[11];
inline constexpr const Rule& k_openvino_extent = k_rules[12];
inline constexpr const Rule& k_svg_script = k_rules[13];

/// Findings and references of a text that may still turn out to be no XML: kept until settle().
class Held {
public:
  explicit Held(Session& session) : session_(session) {}

  /// As Session::find; at most a few of one rule are told.
  void find(const Rule& rule, std::uint64_t offset, std::string evidence,
            std::optional<Severity> severity = std::nullopt);
  void refer(std::string_view kind, std::uint64_t offset, std::string target);
  /// The text is XML: everything held, and whatever follows, goes to the session at once.
  void settle();
  bool settled() const { return settled_; }
  bool empty() const { return items_.empty(); }
  Session& session() { return session_; }

private:
  struct Item {
    const Rule* rule; ///< nullptr: a reference
    std::string_view kind;
    std::uint64_t offset;
    std::string text;
    std::optional<Severity> severity;
  };
  void tell(const Item& item);

  Session& session_;
  std::vector<Item> items_;
  std::array<std::size_t, k_rules.size()> told_{};
  bool settled_ = false;
};

/// What a vocabulary adds to the rules of all XML. One object a document.
class Vocabulary {
public:
  virtual ~Vocabulary() = default;
  /// The reader stands on an event: start, end or text.
  virtual void on(Event event, const MarkupReader& reader, Held& held) = 0;
  /// The document is over.
  virtual void finish(Held& held) = 0;
};

/// The vocabulary of a document with this root element, nullptr if it is none that is known.
std::unique_ptr<Vocabulary> vocabulary_of(const MarkupReader& root);
std::unique_ptr<Vocabulary> make_pmml();
std::unique_ptr<Vocabulary> make_openvino();
std::unique_ptr<Vocabulary> make_svg();

/// The operations that openvino itself brings, by the name of the layer's type.
bool is_openvino_operation(std::string_view type);
/// Those of the openvino-tokenizers extension, which honest tokenizers need.
bool is_openvino_tokenizer_operation(std::string_view type);

} // namespace hubgate::xml
