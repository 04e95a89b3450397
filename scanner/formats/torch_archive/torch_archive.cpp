// Two zips of PyTorch whose members say what runs: PT2 packages of torch.export and AOTInductor
// (torch/export/pt2_archive), and TorchServe's model archives (MAR-INF/MANIFEST.json). The zip
// format scans every member; here it is told what loaders do with them. See README.md.
#include "scanner/core/find.hpp"
#include "scanner/core/format.hpp"
#include "scanner/core/json.hpp"
#include "scanner/core/session.hpp"
#include "scanner/formats/zip/reader.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <string>

namespace hubgate {
namespace {

constexpr std::array<Rule, 4> k_rules{{
    {"pt2-compiled", "executable", Severity::suspicious, Reach::load, "CWE-829", "AML.T0018.002",
     "PTH-015",
     "an AOTInductor package: its loader opens the native code in it as a library of its own "
     "process"},
    {"torchserve-code", "code", Severity::suspicious, Reach::load, "CWE-829", "AML.T0011.000",
     "PTH-016", "TorchServe runs this Python of the archive when it serves the model"},
    {"torchserve-requirements", "reference", Severity::suspicious, Reach::load, "CWE-829",
     "AML.T0010.001", "PTH-016",
     "TorchServe installs what this file of the archive asks for, from wherever it says"},
    {"torchserve-path", "traversal", Severity::malicious, Reach::load, "CWE-22", "AML.T0011.000",
     "PTH-016", "the manifest names a file outside of the archive"},
}};

const Rule& k_compiled = k_rules[0];
const Rule& k_code = k_rules[1];
const Rule& k_requirements = k_rules[2];
const Rule& k_path = k_rules[3];

constexpr std::string_view k_manifest = "MAR-INF/MANIFEST.json";
constexpr std::size_t k_max_text = std::size_t{4} << 20;

bool is_escape(std::string_view path) {
  return path.starts_with("/") || path.starts_with("\\") ||
         path.find("../") != std::string_view::npos ||
         path.find("..\\") != std::string_view::npos || (path.size() > 1 && path[1] == ':');
}

// Handlers that TorchServe brings along (ts/torch_handler).
bool is_builtin(std::string_view handler) {
  constexpr std::array<std::string_view, 6> k_builtin{"image_classifier", "image_segmenter",
                                                      "object_detector",  "text_classifier",
                                                      "base_handler",     "text_handler"};
  return std::find(k_builtin.begin(), k_builtin.end(), handler) != k_builtin.end();
}

class Scan {
public:
  Scan(Source& source, Session& session) : source_(source), session_(session) {}
  Reading run();

private:
  void pt2(const std::string& root);
  void manifest(const zip::Member& member);
  void requirements(const std::string& name);
  std::string content(const zip::Member& member);
  const zip::Member* member(std::string_view name) const;

  Source& source_;
  Session& session_;
  zip::Directory directory_;
};

const zip::Member* Scan::member(std::string_view name) const {
  for (const zip::Member& entry: directory_.members)
    if (entry.central.name == name) return &entry;
  return nullptr;
}

std::string Scan::content(const zip::Member& member) {
  std::string text;
  if (!member.data_begin || !zip::is_supported(member.central.method)) return text;
  const auto source = member.open(source_, session_.budget());
  while (text.size() < k_max_text) {
    const Bytes piece = source->view(text.size(), std::size_t{64} << 10);
    if (piece.empty()) break;
    text += as_text(piece);
  }
  return text;
}

// data/weights and data/constants hold tensors' bytes; data/aotinductor what dlopen() gets.
void Scan::pt2(const std::string& root) {
  std::string compiled;
  for (const zip::Member& entry: directory_.members) {
    const std::string& name = entry.central.name;
    if (!name.starts_with(root)) continue;
    const std::string_view inner = std::string_view(name).substr(root.size());
    const bool numbers = inner.starts_with("data/weights/") || inner.starts_with("data/constants/");
    if (numbers && !inner.ends_with(".pt") && !inner.ends_with(".json")) session_.raw_member(name);
    if (inner.starts_with("data/aotinductor/") &&
        (inner.ends_with(".so") || inner.ends_with(".cubin") || inner.ends_with(".cpp") ||
         inner.ends_with(".o") || inner.ends_with(".pyd") || inner.ends_with(".dll") ||
         inner.ends_with(".hsaco")))
      compiled = name;
  }
  if (!compiled.empty()) session_.find(k_compiled, 0, 0, compiled);
}

void Scan::requirements(const std::string& name) {
  session_.refer("file", 0, name);
  const zip::Member* const found = member(name);
  if (found == nullptr) return;
  const std::string text = content(*found);
  for (const std::string_view odd: {"://", "--index-url", "--extra-index-url", "-i ",
                                    "--find-links", "git+", "file:", "--trusted-host"})
    if (const std::size_t at = text.find(odd); at != std::string::npos) {
      const std::size_t begin = text.rfind('\n', at) + 1;
      session_.find(k_requirements, 0, 0,
                    name + ": " + text.substr(begin, text.find('\n', at) - begin));
      return;
    }
}

void Scan::manifest(const zip::Member& entry) {
  const std::string text = content(entry);
  MemorySource source(as_bytes(text));
  JsonReader json(source, 0, text.size(), {.dialect = JsonOptions::Dialect::python, .depth = 32});
  std::string key;
  std::map<std::string, std::string> fields;
  for (JsonEvent event = json.next(); event != JsonEvent::end && event != JsonEvent::error;
       event = json.next()) {
    if (event == JsonEvent::key)
      key = json.text();
    else if (event == JsonEvent::string)
      // extraFiles is one text with commas, or a list: each is judged.
      fields[key] += (fields[key].empty() ? "" : ",") + json.text();
  }
  if (json.failure() != JsonFailure::none) {
    session_.gap(Reason::malformed, Reach::load, entry.central.local_offset,
                 "the manifest is no JSON");
    return;
  }
  for (const char* field:
       {"handler", "modelFile", "serializedFile", "requirementsFile", "extraFiles", "configFile"}) {
    const std::string value = fields[field];
    for (std::size_t begin = 0; begin < value.size();) {
      const std::size_t end = std::min(value.find(',', begin), value.size());
      const std::string name = value.substr(begin, end - begin);
      begin = end + 1;
      if (is_escape(name))
        session_.find(k_path, entry.central.local_offset, 0, std::string(field) + ": " + name);
    }
  }
  const std::string handler = fields["handler"];
  const std::string file = handler.substr(0, handler.find(':'));
  if (!handler.empty() && !is_builtin(file)) {
    session_.refer("code", entry.central.local_offset, file);
    session_.find(k_code, entry.central.local_offset, 0, "handler: " + handler);
  }
  if (const std::string& model = fields["modelFile"]; !model.empty()) {
    session_.refer("code", entry.central.local_offset, model);
    session_.find(k_code, entry.central.local_offset, 0, "modelFile: " + model);
  }
  if (const std::string& name = fields["requirementsFile"]; !name.empty()) requirements(name);
}

Reading Scan::run() {
  auto directory = zip::read_directory(source_, session_.budget());
  if (!directory) return Reading::none;
  directory_ = std::move(*directory);
  bool found = false;
  for (const zip::Member& entry: directory_.members) {
    const std::string& name = entry.central.name;
    for (const std::string_view mark: {"archive_format", "serialized_exported_program.json"}) {
      if (!name.ends_with(mark)) continue;
      const std::string root = name.substr(0, name.size() - mark.size());
      if (!root.empty() && root.back() != '/') continue;
      if (mark == "archive_format" && !content(entry).starts_with("pt2")) continue;
      pt2(root);
      found = true;
    }
    if (name == k_manifest) {
      manifest(entry);
      found = true;
    }
  }
  if (!found) return Reading::none;
  session_.ends_at(directory_.end.end);
  return Reading::valid;
}

Claim probe(const Probe& probe) {
  if (probe.tail.empty()) return Claim::no;
  const std::string_view tail = as_text(probe.tail);
  if (!zip::begins_like_zip(probe.head) && !zip::ends_like_zip(probe)) return Claim::no;
  for (const std::string_view mark:
       {std::string_view("archive_format"), std::string_view("serialized_exported_program.json"),
        k_manifest})
    if (holds(tail, mark) || holds(as_text(probe.head), mark)) return Claim::yes;
  return Claim::no;
}

Reading scan(Source& source, Session& session) {
  return Scan(source, session).run();
}

} // namespace

extern const Format format_torch_archive;
const Format format_torch_archive{
    .name = "torch_archive", .family = "zip", .probe = probe, .scan = scan, .rules = k_rules};

} // namespace hubgate
