// Manifests of Ollama and OCI registries: JSON whose digests become file names
// (https://github.com/opencontainers/image-spec/blob/main/manifest.md, descriptor.md). Ollama once
// wrote a layer wherever its digest said (CVE-2024-37032).
#include "scanner/core/find.hpp"
#include "scanner/core/format.hpp"
#include "scanner/core/json.hpp"
#include "scanner/core/session.hpp"

#include <algorithm>
#include <array>
#include <string>

namespace hubgate {
namespace {

constexpr std::array<Rule, 3> k_rules{{
    {"ollama-digest-path", "traversal", Severity::malicious, Reach::load, "CWE-22", "AML.T0010.003",
     "GGF-013", "a layer's digest is a path: readers make a file name of it and write there"},
    {"ollama-digest", "structure", Severity::suspicious, Reach::load, "CWE-20", "AML.T0010.003",
     "GGF-013", "a layer's digest is no digest"},
    {"ollama-layer-address", "reference", Severity::suspicious, Reach::load, "CWE-829",
     "AML.T0010.003", "GGF-013", "a layer is fetched from an address that the manifest names"},
}};

const Rule& k_digest_path = k_rules[0];
const Rule& k_digest = k_rules[1];
const Rule& k_address = k_rules[2];

bool is_hex(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool is_digest(std::string_view text) {
  if (text.starts_with("sha256:")) return text.size() == 7 + 64 && is_hex(text.substr(7));
  if (text.starts_with("sha512:")) return text.size() == 7 + 128 && is_hex(text.substr(7));
  return false;
}

Claim probe(const Probe& probe) {
  const std::string_view head = as_text(probe.head);
  const std::size_t brace = head.find_first_not_of(" \t\r\n");
  if (brace == std::string_view::npos || head[brace] != '{') return Claim::no;
  const bool manifest = holds(head, "application/vnd.ollama.") ||
                        holds(head, "application/vnd.docker.distribution.manifest") ||
                        holds(head, "application/vnd.oci.image.");
  return manifest && holds(head, "\"digest\"") ? Claim::maybe : Claim::no;
}

Reading scan(Source& source, Session& session) {
  const std::uint64_t size = source.wait_end();
  JsonReader json(source, 0, size, {.dialect = JsonOptions::Dialect::python, .depth = 32});
  std::string key;
  bool schema = false;
  for (JsonEvent event = json.next(); event != JsonEvent::end; event = json.next()) {
    // What is wrong with the JSON itself is told by the format json.
    if (event == JsonEvent::error) return Reading::none;
    if (event == JsonEvent::key) {
      key = json.text();
      schema = schema || (json.depth() == 1 &&
                          (key == "layers" || key == "manifests" || key == "schemaVersion"));
      continue;
    }
    if (event != JsonEvent::string || !schema) continue;
    const std::string& text = json.text();
    if (key == "digest" && !is_digest(text)) {
      const bool path = text.find('/') != std::string::npos ||
                        text.find('\\') != std::string::npos ||
                        text.find("..") != std::string::npos;
      session.find(path ? k_digest_path : k_digest, json.offset(), text.size(), text);
    } else if (key == "urls") {
      session.refer("url", json.offset(), text);
      session.find(k_address, json.offset(), text.size(), text);
    } else if (key == "from") {
      session.refer("file", json.offset(), text);
    }
  }
  if (!schema) return Reading::none;
  session.release(size - std::min(size, k_held_tail));
  return Reading::valid;
}

} // namespace

extern const Format format_ollama;
const Format format_ollama{
    .name = "ollama", .family = "json", .probe = probe, .scan = scan, .rules = k_rules};

} // namespace hubgate
