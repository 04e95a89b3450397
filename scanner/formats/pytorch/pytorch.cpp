// PyTorch's zip: ROOT/data.pkl names storages, ROOT/data/KEY holds them (torch/serialization.py,
// caffe2/serialize). The zip format scans every member; here the members are held against each
// other. See README.md.
#include "scanner/core/format.hpp"
#include "scanner/core/session.hpp"
#include "scanner/formats/pytorch/script.hpp"
#include "scanner/formats/pytorch/storage.hpp"
#include "scanner/formats/zip/reader.hpp"
#include "scanner/generic/tensor_sample.hpp"

#include <algorithm>
#include <array>
#include <set>

namespace hubgate {
namespace {

using pytorch::Storage;
using pytorch::StorageObserver;

constexpr std::size_t k_told = 5; ///< findings of one rule in one archive

constexpr std::size_t k_max_code = std::size_t{16} << 20; ///< bytes of one code member

constexpr std::array<Rule, 10> k_rules{{
    {"pytorch-storage-reference", "structure", Severity::suspicious, Reach::load, "CWE-20",
     "AML.T0076", "PTH-006", "the pickle names a storage that is missing or has another size"},
    {"pytorch-storage-pickle", "pickle", Severity::suspicious, Reach::data, "CWE-506",
     "AML.T0011.000", "PTH-005", "a storage is a pickle, ready for whoever loads it"},
    {"pytorch-torchscript", "code", Severity::informational, Reach::load, "CWE-502",
     "AML.T0011.000", "PTH-012",
     "a TorchScript archive: torch.load before 2.6 runs its code even with weights_only=True"},
    {"pytorch-record-name", "structure", Severity::suspicious, Reach::load, "CWE-178", "AML.T0076",
     "PTH-003",
     "the pickle's name differs in case, which one reader forgives and another does not"},
    {"pytorch-package", "code", Severity::suspicious, Reach::load, "CWE-502", "AML.T0011.000",
     "PTH-014", "a torch.package archive: its Python modules run when the model is loaded"},
    {"pytorch-unreferenced", "structure", Severity::informational, Reach::data, "", "AML.T0018.002",
     "POL-010", "a storage that no pickle of the archive names: weight that nobody loads"},
    pytorch::k_rule_script_effect,
    pytorch::k_rule_script_operator,
    k_rule_steganography,
    k_rule_not_finite,
}};

const Rule& k_reference = k_rules[0];
const Rule& k_storage_pickle = k_rules[1];
const Rule& k_torchscript = k_rules[2];
const Rule& k_record_name = k_rules[3];
const Rule& k_package = k_rules[4];
const Rule& k_unreferenced = k_rules[5];

// Names under which people load weights, not programs.
constexpr std::string_view k_weights = "*.bin|*.ckpt|*.safetensors|*.h5|*.npz|*.onnx";

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

bool ends_with_folded(std::string_view text, std::string_view word) {
  if (text.size() < word.size()) return false;
  text.remove_prefix(text.size() - word.size());
  return std::equal(text.begin(), text.end(), word.begin(),
                    [](char a, char b) { return lower(a) == lower(b); });
}

bool contains_folded(std::string_view text, std::string_view word) {
  return std::search(text.begin(), text.end(), word.begin(), word.end(),
                     [](char a, char b) { return lower(a) == lower(b); }) != text.end();
}

// The root of a record "ROOT/NAME", with its slash, or nothing.
std::optional<std::string> root_of(const std::string& path, std::string_view name) {
  if (!ends_with_folded(path, name)) return std::nullopt;
  const std::string root = path.substr(0, path.size() - name.size());
  if (!root.empty() && root.back() != '/') return std::nullopt;
  return root;
}

Claim probe(const Probe& probe) {
  if (probe.tail.empty()) return Claim::no;
  const std::string_view tail = as_text(probe.tail);
  if (!zip::begins_like_zip(probe.head) && !zip::ends_like_zip(probe)) return Claim::no;
  for (const std::string_view name: {"data.pkl", "constants.pkl", ".data/extern_modules"})
    if (contains_folded(as_text(probe.head), name) || contains_folded(tail, name))
      return Claim::yes;
  return Claim::no;
}

class Scan {
public:
  Scan(Source& source, Session& session) : source_(source), session_(session) {}
  Reading run();

private:
  const zip::Member* member(std::string_view name) const;
  void pickle(const zip::Member& record, const std::string& root, std::string_view folder);
  void storage(const zip::Member& record, const std::string& root, std::string_view folder,
               const std::string& key, const Storage& storage);
  void sniff(const zip::Member& member);
  void sample(const zip::Member& member, const Storage& storage);
  bool package();
  void script(const std::string& root);
  std::string content(const zip::Member& member, std::size_t most);
  void reference(const zip::Member& record, const std::string& evidence);

  Source& source_;
  Session& session_;
  zip::Directory directory_;
  std::vector<const zip::Member*> by_name_;
  std::size_t references_ = 0;
  std::size_t sampled_ = 0;
  std::set<const zip::Member*> named_; ///< storages that a pickle names
};

Element element_of(std::string_view type) {
  const auto has = [&](std::string_view word) { return type.find(word) != std::string_view::npos; };
  if (has("BFloat16") || has("bfloat16")) return Element::bfloat16;
  if (has("Complex") || has("complex") || has("float8")) return Element::other;
  if (has("Half") || has("float16")) return Element::float16;
  if (has("Double") || has("float64")) return Element::float64;
  if (has("FloatStorage") || has("float32")) return Element::float32;
  return Element::other;
}

void Scan::sample(const zip::Member& member, const Storage& storage) {
  if (!member.data_begin || !zip::is_supported(member.central.method) ||
      ++sampled_ > k_sampled_tensors)
    return;
  const auto content = member.open(source_, session_.budget());
  sample_tensor(*content, session_, 0, member.central.size, element_of(storage.type),
                member.central.name);
}

std::string Scan::content(const zip::Member& member, std::size_t most) {
  std::string text;
  if (!member.data_begin || !zip::is_supported(member.central.method)) return text;
  const auto content = member.open(source_, session_.budget());
  while (text.size() < most) {
    const Bytes piece = content->view(text.size(), std::size_t{64} << 10);
    if (piece.empty()) break;
    text += as_text(piece);
  }
  return text;
}

const zip::Member* Scan::member(std::string_view name) const {
  const auto at = std::lower_bound(
      by_name_.begin(), by_name_.end(), name,
      [](const zip::Member* a, std::string_view b) { return a->central.name < b; });
  return at == by_name_.end() || (*at)->central.name != name ? nullptr : *at;
}

void Scan::reference(const zip::Member& record, const std::string& evidence) {
  if (++references_ <= k_told) session_.find(k_reference, record.central.local_offset, 0, evidence);
}

void Scan::sniff(const zip::Member& member) {
  if (!member.data_begin || !zip::is_supported(member.central.method)) return;
  const auto content = member.open(source_, session_.budget());
  if (pickle::looks_like_pickle(content->view(0, Probe::k_head)) != Claim::yes) return;
  StorageObserver observer;
  const auto result = pickle::scan_pickle(*content, session_, 0,
                                          {.reports = pickle::Options::Reports::none}, &observer);
  if (result.state == pickle::Result::State::complete && observer.calls() > 0)
    session_.find(k_storage_pickle, member.central.local_offset, member.central.size,
                  member.central.name + " is a pickle that makes " +
                      std::to_string(observer.calls()) + " calls");
}

void Scan::storage(const zip::Member& record, const std::string& root, std::string_view folder,
                   const std::string& key, const Storage& storage) {
  const std::string name = root + std::string(folder) + key;
  const zip::Member* const found = member(name);
  const auto bytes = storage.bytes();
  if (found == nullptr) {
    if (bytes != 0U) reference(record, storage.type + " " + name + " is not in the archive");
    return;
  }
  if (storage.conflicting)
    reference(record, name + " is named with two sizes");
  else if (!bytes)
    reference(record, name + " has the unknown type " + storage.type);
  else if (*bytes != found->central.size)
    reference(record, name + " has " + std::to_string(found->central.size) + " bytes, " +
                          storage.type + " of " + std::to_string(storage.elements) +
                          " elements needs " + std::to_string(*bytes));
  else
    session_.raw_member(found->central.name);
  named_.insert(found);
  sniff(*found);
  sample(*found, storage);
}

void Scan::pickle(const zip::Member& record, const std::string& root, std::string_view folder) {
  if (!record.data_begin || !zip::is_supported(record.central.method)) return;
  const auto content = record.open(source_, session_.budget());
  StorageObserver observer;
  pickle::scan_pickle(*content, session_, 0, {.reports = pickle::Options::Reports::none},
                      &observer);
  for (const auto& [key, item]: observer.storages())
    storage(record, root, folder, key, item);
}

// Every source and mobile bytecode: what their operators do.
void Scan::script(const std::string& root) {
  for (const zip::Member* entry: by_name_) {
    const std::string& name = entry->central.name;
    if (!name.starts_with(root)) continue;
    const std::string_view inner = std::string_view(name).substr(root.size());
    const bool source = inner.starts_with("code/") && inner.ends_with(".py");
    const bool bytecode = inner == "bytecode.pkl" || inner == "mobile_debug_handles.pkl";
    if (!source && !bytecode) continue;
    const std::string text = content(*entry, k_max_code + 1);
    if (text.size() > k_max_code)
      session_.gap(Reason::budget, Reach::load, entry->central.local_offset,
                   name + " is too long to be read");
    if (source)
      pytorch::judge_script(session_, text, name, entry->central.local_offset);
    else
      pytorch::judge_operators(session_, text, name, entry->central.local_offset);
  }
}

// torch.package: .data/extern_modules beside Python modules (torch/package/package_exporter.py).
bool Scan::package() {
  std::string root;
  bool extern_modules = false;
  for (const zip::Member* entry: by_name_)
    if (const auto at = root_of(entry->central.name, ".data/extern_modules")) {
      root = *at;
      extern_modules = true;
    }
  if (!extern_modules) return false;
  std::size_t modules = 0;
  std::string first;
  for (const zip::Member* entry: by_name_) {
    const std::string& name = entry->central.name;
    if (!name.starts_with(root)) continue;
    if (name.starts_with(root + ".data/") && name.ends_with(".storage")) session_.raw_member(name);
    if (!name.ends_with(".py")) continue;
    if (modules++ == 0) first = name;
  }
  if (modules > 0)
    session_.find(k_package, 0, 0,
                  std::to_string(modules) + " Python modules, among them " + first);
  return true;
}

Reading Scan::run() {
  auto directory = zip::read_directory(source_, session_.budget());
  if (!directory) return Reading::none;
  directory_ = std::move(*directory);
  for (const zip::Member& entry: directory_.members)
    by_name_.push_back(&entry);
  std::stable_sort(
      by_name_.begin(), by_name_.end(),
      [](const zip::Member* a, const zip::Member* b) { return a->central.name < b->central.name; });
  bool found = false;
  const zip::Member* constants = nullptr;
  for (const zip::Member& entry: directory_.members) {
    const std::string& name = entry.central.name;
    if (const auto root = root_of(name, "data.pkl")) {
      found = true;
      if (!name.ends_with("data.pkl"))
        session_.find(k_record_name, entry.central.local_offset, 0, name);
      pickle(entry, *root, "data/");
    } else if (const auto script = root_of(name, "constants.pkl")) {
      constants = &entry;
      pickle(entry, *script, "constants/");
    }
  }
  if (constants != nullptr) {
    const std::string root = *root_of(constants->central.name, "constants.pkl");
    const std::string code = root + "code/";
    const auto at = std::lower_bound(
        by_name_.begin(), by_name_.end(), code,
        [](const zip::Member* a, std::string_view b) { return a->central.name < b; });
    const bool has_code = at != by_name_.end() && (*at)->central.name.starts_with(code);
    if (found || has_code) {
      const std::string evidence =
          has_code ? "code in " + (*at)->central.name : constants->central.name;
      session_.find(k_torchscript, constants->central.local_offset, 0, evidence);
      session_.find(k_torchscript, constants->central.local_offset, 0, evidence,
                    {.severity = Severity::suspicious, .condition = k_weights});
      script(root);
    }
    found = found || has_code;
  }
  found = package() || found;
  if (!found) return Reading::none;
  for (const zip::Member* entry: by_name_) {
    const std::string& name = entry->central.name;
    const std::size_t folder = name.rfind("data/");
    if (folder == std::string::npos || (folder > 0 && name[folder - 1] != '/') ||
        named_.contains(entry))
      continue;
    const std::string key = name.substr(folder + 5);
    if (!key.empty() && key.find_first_not_of("0123456789") == std::string::npos &&
        entry->central.size > 0)
      session_.find(k_unreferenced, entry->central.local_offset, entry->central.size, name);
  }
  if (references_ > k_told)
    session_.find(k_reference, 0, 0, std::to_string(references_) + " storages in all");
  session_.ends_at(directory_.end.end);
  return Reading::valid;
}

Reading scan(Source& source, Session& session) {
  return Scan(source, session).run();
}

} // namespace

extern const Format format_pytorch;
const Format format_pytorch{"pytorch", "zip", probe, scan, k_rules};

} // namespace hubgate
