#include "scanner/formats/pickle/rules.hpp"

#include <array>

namespace hubgate::pickle {
namespace {

constexpr auto k_mal = Severity::malicious;
constexpr auto k_sus = Severity::suspicious;
constexpr auto k_info = Severity::informational;
constexpr auto k_load = Reach::load;
constexpr std::string_view k_cwe = "CWE-502";
constexpr std::string_view k_desync = "CWE-436";
constexpr std::string_view k_unsafe = "AML.T0011.000";
constexpr std::string_view k_corrupt = "AML.T0076";
constexpr std::string_view k_dos = "AML.T0029";

// In the order of R.
constexpr std::array<Rule, static_cast<std::size_t>(R::count_)> k_rules{{
    {"pickle-dangerous-call", "dangerous-call", k_mal, k_load, k_cwe, k_unsafe,
     "PKL-001 PKL-002 PKL-003 PKL-004 PKL-007 PKL-008 PKL-009 PKL-010 PKL-018 PKL-022 PKL-024 "
     "PKL-029 PKL-030 PKL-031 PKL-032 PKL-035 PKL-036 PKL-037 PKL-038 PKL-039 PKL-040 PKL-041 "
     "PKL-042 PKL-044 PKL-045 PKL-046 PKL-047 PKL-048 PKL-049 PKL-051 PKL-052 PKL-053 PKL-054 "
     "PKL-055 PKL-056 PKL-057 PKL-058 PKL-059 PKL-060 PKL-061 PKL-067 PKL-071 PKL-073",
     "opening the file calls something that runs code, reaches the system or unpicks Python"},
    {"pickle-dangerous-import", "dangerous-import", k_mal, k_load, k_cwe, k_unsafe,
     "PKL-030 PKL-031 PKL-043 PKL-054 PKL-066",
     "the file names something that runs code or reaches the system; no model needs it"},
    {"pickle-unknown-call", "unknown-call", k_sus, k_load, k_cwe, k_unsafe, "PKL-043 PKL-067",
     "the file uses a name of Python or of a usual package that honest models do not use"},
    {"pickle-unknown-class", "unknown-class", k_sus, k_load, k_cwe, k_unsafe,
     "PKL-004 PKL-005 PKL-043",
     "opening the file runs a class that is not known to be harmless, if it is installed"},
    {"pickle-computed-callee", "dangerous-call", k_mal, k_load, k_cwe, k_unsafe,
     "PKL-035 PKL-036 PKL-037 PKL-040", "what is called is itself the result of a call"},
    {"pickle-computed-name", "dangerous-call", k_mal, k_load, k_cwe, k_unsafe, "PKL-006",
     "the name of what is imported is computed while the file is opened"},
    {"pickle-extension", "dangerous-call", k_mal, k_load, k_cwe, k_unsafe, "PKL-025",
     "a number stands for an import that only the loading program knows"},
    {"pickle-extension-code", "structure", k_sus, k_load, k_desync, k_corrupt, "PKL-026",
     "an extension number that no pickler writes"},
    {"pickle-malformed-name", "structure", k_mal, k_load, k_desync, k_corrupt,
     "PKL-033 PKL-034 PKL-072",
     "an imported name that is no Python name in ASCII: it hides what is imported"},
    {"pickle-state-injection", "dangerous-call", k_mal, k_load, k_cwe, k_unsafe,
     "PKL-005 PKL-053 PKL-061",
     "attributes are written to something that no pickler gives a state"},
    {"pickle-argument-shape", "unknown-call", k_sus, k_load, k_cwe, k_unsafe,
     "PKL-042 PKL-047 PKL-048 PKL-067 PKL-068",
     "a harmless function is called with arguments that honest pickles do not give it"},
    {"pickle-hooks", "unknown-call", k_sus, k_load, k_cwe, k_unsafe, "PKL-066 PKL-069",
     "a tensor or module carries hooks: functions that run when it is used"},
    {"pickle-callable-state", "unknown-call", k_sus, k_load, k_cwe, k_unsafe, "PKL-066",
     "a known class holds a function that is not known to be harmless"},
    {"pickle-upload-state", "propagation", k_info, k_load, "", k_unsafe, "PKL-066",
     "whoever trains on with these arguments uploads the model"},
    {"pickle-persistent-id", "unknown-call", k_sus, k_load, k_cwe, k_unsafe, "PKL-027",
     "the loading program is handed an id of a kind that hubgate does not know"},
    {"pickle-out-of-band", "structure", k_sus, k_load, k_cwe, k_corrupt, "PKL-028",
     "the pickle takes data from outside of itself, where it was not seen"},
    {"pickle-item-target", "dangerous-call", k_mal, k_load, "CWE-787", k_unsafe, "PKL-070",
     "items are written into something that is no container, which corrupts memory"},
    {"pickle-tensor-extent", "structure", k_mal, k_load, "CWE-787", k_unsafe, "PKL-070",
     "a tensor reaches beyond its storage"},
    {"pickle-nested", "structure", k_info, Reach::data, k_cwe, k_unsafe, "PKL-048 PKL-050",
     "a pickle lies inside a value of the pickle; it was scanned as well"},
    {"pickle-encoded", "structure", k_sus, Reach::data, k_cwe, k_corrupt, "PKL-050",
     "a pickle lies encoded or compressed inside a value"},
    {"pickle-frame-straddle", "structure", k_mal, k_load, k_desync, k_corrupt, "PKL-016",
     "an argument crosses the end of its frame: old and new Pythons run different code"},
    {"pickle-frame-structure", "structure", k_sus, k_load, k_desync, k_corrupt, "PKL-016 PKL-017",
     "a frame that no pickler writes: Python's readers disagree about it"},
    {"pickle-broken-after-call", "structure", k_mal, k_load, k_desync, k_corrupt, "PKL-018",
     "the pickle calls something that is not harmless and breaks right after: scanners fail, "
     "loaders have run it"},
    {"pickle-memo-slot", "structure", k_sus, k_load, k_desync, k_corrupt, "PKL-010 PKL-011",
     "a memo slot that was never filled, or far out of range"},
    {"pickle-literal-base", "structure", k_sus, k_load, k_desync, k_corrupt,
     "PKL-012 PKL-013 PKL-022", "a number in a notation that only some of Python's readers take"},
    {"pickle-literal-nul", "structure", k_sus, k_load, k_desync, k_corrupt, "PKL-014",
     "a number with a NUL inside, where Python's readers disagree"},
    {"pickle-literal-boolean", "structure", k_info, k_load, k_desync, k_corrupt, "PKL-015",
     "a truth value in a spelling that Python's readers take differently"},
    {"pickle-number-size", "structure", k_sus, k_load, "CWE-400", k_dos, "PKL-062",
     "a number or length far beyond what a model needs"},
    {"pickle-protocol", "structure", k_sus, k_load, k_desync, k_corrupt, "PKL-023",
     "the protocol header is missing, misplaced, repeated or wrong"},
    {"pickle-residue", "structure", k_info, k_load, k_desync, k_corrupt, "PKL-020",
     "the stack is not empty at the end"},
    {"pickle-data-after-stop", "structure", k_sus, k_load, k_desync, k_corrupt, "PKL-019 PKL-073",
     "bytes that are no pickle follow the end of the pickle"},
    {"pickle-several", "structure", k_info, k_load, k_desync, k_corrupt, "PKL-021 PKL-022",
     "several pickles follow each other"},
    {"pickle-expansion", "structure", k_sus, k_load, "CWE-400", k_dos, "PKL-062",
     "few bytes stand for an object that is too large to be walked"},
    {"pickle-recursive", "structure", k_info, k_load, "CWE-674", k_dos, "PKL-064",
     "a container holds itself"},
    {"pickle-behind-junk", "structure", k_sus, k_load, k_desync, k_corrupt,
     "PKL-019 PKL-022 PKL-065", "a pickle lies behind bytes that can't be read as one"},
    {"pickle-named-skops", "pickle", k_info, k_load, k_cwe, k_unsafe, "JNP-014 JNP-015",
     "a pickle under the name of a format that promises to have none: tools that open what they "
     "are "
     "given unpickle it"},
}};

} // namespace

std::span<const Rule> rules() {
  return k_rules;
}
const Rule& rule(R id) {
  return k_rules[static_cast<std::size_t>(id)];
}

} // namespace hubgate::pickle
