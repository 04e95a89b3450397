// Rows, annotations and cards of data sets.
#include "scanner/config/checks.hpp"

#include "scanner/config/paths.hpp"
#include "scanner/config/rules.hpp"

#include <algorithm>
#include <array>

namespace hubgate::config {
namespace {

// Licence identifiers of the hub's model cards.
constexpr std::array<std::string_view, 82> k_licences{"afl-3.0",
                                                      "agpl-3.0",
                                                      "apache-2.0",
                                                      "apple-amlr",
                                                      "apple-ascl",
                                                      "artistic-2.0",
                                                      "bigcode-openrail-m",
                                                      "bigscience-bloom-rail-1.0",
                                                      "bigscience-openrail-m",
                                                      "bsd",
                                                      "bsd-2-clause",
                                                      "bsd-3-clause",
                                                      "bsd-3-clause-clear",
                                                      "bsl-1.0",
                                                      "c-uda",
                                                      "cc",
                                                      "cc-by-2.0",
                                                      "cc-by-2.5",
                                                      "cc-by-3.0",
                                                      "cc-by-4.0",
                                                      "cc-by-nc-2.0",
                                                      "cc-by-nc-3.0",
                                                      "cc-by-nc-4.0",
                                                      "cc-by-nc-nd-3.0",
                                                      "cc-by-nc-nd-4.0",
                                                      "cc-by-nc-sa-2.0",
                                                      "cc-by-nc-sa-3.0",
                                                      "cc-by-nc-sa-4.0",
                                                      "cc-by-nd-4.0",
                                                      "cc-by-sa-3.0",
                                                      "cc-by-sa-4.0",
                                                      "cc0-1.0",
                                                      "cdla-permissive-1.0",
                                                      "cdla-permissive-2.0",
                                                      "cdla-sharing-1.0",
                                                      "creativeml-openrail-m",
                                                      "deepfloyd-if-license",
                                                      "ecl-2.0",
                                                      "epl-1.0",
                                                      "epl-2.0",
                                                      "etalab-2.0",
                                                      "eupl-1.1",
                                                      "eupl-1.2",
                                                      "fair-noncommercial-research-license",
                                                      "gemma",
                                                      "gfdl",
                                                      "gpl",
                                                      "gpl-2.0",
                                                      "gpl-3.0",
                                                      "grok2-community",
                                                      "h-research",
                                                      "intel-research",
                                                      "isc",
                                                      "lgpl",
                                                      "lgpl-2.1",
                                                      "lgpl-3.0",
                                                      "lgpl-lr",
                                                      "llama2",
                                                      "llama3",
                                                      "llama3.1",
                                                      "llama3.2",
                                                      "llama3.3",
                                                      "llama4",
                                                      "lppl-1.3c",
                                                      "mit",
                                                      "mpl-2.0",
                                                      "ms-pl",
                                                      "ncsa",
                                                      "odbl",
                                                      "odc-by",
                                                      "ofl-1.1",
                                                      "open-mdw",
                                                      "openrail",
                                                      "openrail++",
                                                      "osl-3.0",
                                                      "other",
                                                      "pddl",
                                                      "postgresql",
                                                      "unknown",
                                                      "unlicense",
                                                      "wtfpl",
                                                      "zlib"};

} // namespace

void check_annotation(Teller& teller, const Value& value) {
  if (!value.is_text() || value.text.size() > 4096) return;
  const PathFacts facts = judge_path(value.text);
  // `../images/1.jpg` is how many annotations are written; nobody climbs three folders.
  if (facts.climbs < 3 && !facts.sensitive) return;
  if (value.text.find('\n') != std::string_view::npos) return;
  teller.find(k_annotation_path, value.offset, value.evidence(),
              "*.json|*.jsonl|*.yaml|*.yml|*.ndjson");
}

void check_row_file(Teller& teller, const Value& value) {
  if (!value.is_text()) return;
  const PathFacts facts = judge_path(value.text);
  const bool leaves = facts.kind == PathKind::traversal || facts.kind == PathKind::absolute ||
                      facts.kind == PathKind::file_url;
  if (leaves) teller.find(k_data_path, value.offset, value.evidence(), value.rule.condition);
  check_annotation(teller, value);
}

// `configs: - data_files:` of a card: load_dataset() fetches what stands there.
void check_data_files(Teller& teller, const Value& value) {
  if (!value.is_text() || value.path.ends_with(".split")) return;
  const PathFacts facts = judge_path(value.text);
  const std::string_view condition = value.rule.condition;
  const bool local = facts.kind == PathKind::file_url || facts.sensitive;
  if (local) {
    teller.find(k_local_files, value.offset, value.evidence(), condition);
    return;
  }
  if (facts.kind == PathKind::relative || facts.kind == PathKind::hub_url) {
    if (facts.chained) teller.find(k_data_files, value.offset, value.evidence(), condition);
    return;
  }
  teller.find(k_data_files, value.offset, value.evidence(), condition);
  if (facts.kind == PathKind::url)
    teller.session().refer("url", value.offset, value.text, condition);
}

void check_licence(Teller& teller, const Value& value) {
  if (!value.is_text()) return;
  std::string name(value.text);
  std::transform(name.begin(), name.end(), name.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  if (name.size() <= 100)
    teller.session().refer("licence", value.offset, name, value.rule.condition);
  const bool known = std::binary_search(k_licences.begin(), k_licences.end(), name);
  // Terms that forbid what a company does with a model are worth a word too.
  const bool open = known && name.find("-nc") == std::string::npos && name != "other" &&
                    name != "unknown" && name.find("noncommercial") == std::string::npos;
  if (!open) teller.find(k_licence, value.offset, value.evidence(), value.rule.condition);
}

} // namespace hubgate::config
