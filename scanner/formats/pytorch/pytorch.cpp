// PyTorch's zip: ROOT/data.pkl names storages, ROOT/data/KEY holds them (torch/serialization.py,
// caffe2/serialize). The zip format scans every member; here the members are held against each
// other. See README.md.
#include "scanner/core/format.hpp"
#include "scanner/core/session.hpp"
#include "scanner/formats/pytorch/storage.hpp"
#include "scanner/formats/zip/reader.hpp"

#include <algorithm>
#include <array>

namespace hubgate {
namespace {

using pytorch::Storage;
using pytorch::StorageObserver;

constexpr std::size_t k_told = 5; ///< findings of one rule in one archive

constexpr std::array<Rule, 4> k_rules{{
    {"pytorch-storage-reference", "structure", Severity::suspicious, Reach::load, "CWE-20",
     "AML.T0076", "PTH-006", "the pickle names a storage that is missing or has another size"},
    {"pytorch-storage-pickle", "pickle", Severity::suspicious, Reach::data, "CWE-506",
     "AML.T0011.000", "PTH-005", "a storage is a pickle, ready for whoever loads it"},
    {"pytorch-torchscript", "code", Severity::suspicious, Reach::load, "CWE-502", "AML.T0011.000",
     "PTH-012",
     "a TorchScript archive: torch.load before 2.6 runs its code even with weights_only=True"},
    {"pytorch-record-name", "structure", Severity::suspicious, Reach::load, "CWE-178", "AML.T0076",
     "PTH-003",
     "the pickle's name differs in case, which one reader forgives and another does not"},
}};

const Rule& k_reference = k_rules[0];
const Rule& k_storage_pickle = k_rules[1];
const Rule& k_torchscript = k_rules[2];
const Rule& k_record_name = k_rules[3];

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

bool is_zip(Bytes head) {
  return starts_with(head, zip::k_local_magic);
}

Claim probe(const Probe& probe) {
  if (probe.tail.empty()) return Claim::no;
  const std::string_view tail = as_text(probe.tail);
  if (!is_zip(probe.head) && tail.rfind(zip::k_end_magic) == std::string_view::npos)
    return Claim::no;
  for (const std::string_view name: {"data.pkl", "constants.pkl"})
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
  void reference(const zip::Member& record, const std::string& evidence);

  Source& source_;
  Session& session_;
  zip::Directory directory_;
  std::vector<const zip::Member*> by_name_;
  std::size_t references_ = 0;
};

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
  sniff(*found);
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
    const std::string code = *root_of(constants->central.name, "constants.pkl") + "code/";
    const auto at = std::lower_bound(
        by_name_.begin(), by_name_.end(), code,
        [](const zip::Member* a, std::string_view b) { return a->central.name < b; });
    const bool has_code = at != by_name_.end() && (*at)->central.name.starts_with(code);
    if (found || has_code)
      session_.find(k_torchscript, constants->central.local_offset, 0,
                    has_code ? "code in " + (*at)->central.name : constants->central.name);
    found = found || has_code;
  }
  if (!found) return Reading::none;
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
