// Random repositories: paths, modes, links, references and findings out of the input's bytes. The
// judge must end, keep its bounds, and give the same answer for the same entries in another order.
#include "scanner/tree/tree.hpp"

#include <algorithm>
#include <cstdlib>
#include <deque>

using namespace hubgate;

namespace {

class Input {
public:
  Input(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}
  bool empty() const { return size_ == 0; }
  std::uint8_t byte() {
    if (size_ == 0) return 0;
    --size_;
    return *data_++;
  }
  std::string text(std::size_t most) {
    // Pieces that matter, and raw bytes between them.
    static constexpr std::string_view k_pieces[] = {"/",
                                                    "..",
                                                    ".",
                                                    "\\",
                                                    "os",
                                                    "torch",
                                                    "numpy",
                                                    "__init__",
                                                    ".py",
                                                    "a",
                                                    "B",
                                                    "b",
                                                    "--",
                                                    "://",
                                                    "-00001-of-00002",
                                                    "model",
                                                    "pytorch_model",
                                                    ".safetensors",
                                                    ".bin",
                                                    ".index.json",
                                                    "config.json",
                                                    "~",
                                                    "blobs/"};
    std::string out;
    for (std::size_t n = byte() % (most + 1); n > 0 && !empty(); --n) {
      const std::uint8_t pick = byte();
      if (pick < 200)
        out += k_pieces[pick % std::size(k_pieces)];
      else
        out += static_cast<char>(byte());
    }
    return out;
  }

private:
  const std::uint8_t* data_;
  std::size_t size_;
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static constexpr const char* k_kinds[] = {"file",   "code",       "remote-code",
                                            "import", "repository", "url",
                                            "extent", "dimension",  "template"};
  static constexpr const char* k_formats[] = {"json",        "pickle", "python",
                                              "safetensors", "gguf",   ""};
  Input input(data, size);
  std::deque<Report> reports;
  std::vector<TreeEntry> entries;
  while (!input.empty() && entries.size() < 200) {
    TreeEntry entry;
    entry.path = input.text(6);
    const std::uint8_t kind = input.byte();
    entry.mode = static_cast<FileMode>(kind % 4);
    entry.pointer = (kind & 0x10) != 0;
    entry.target = input.text(4);
    if ((kind & 0x20) == 0) {
      Report& report = reports.emplace_back();
      report.format = k_formats[kind % std::size(k_formats)];
      for (int n = input.byte() % 4; n > 0; --n)
        report.references.push_back(
            {k_kinds[input.byte() % std::size(k_kinds)], input.text(5), "", 0, ""});
      if ((kind & 0x40) != 0) {
        Finding finding;
        finding.severity = Severity::malicious;
        report.findings.push_back(finding);
      }
      entry.report = &report;
    }
    entries.push_back(std::move(entry));
  }
  TreeOptions options;
  options.repo = "a/b";
  options.max_findings = 50;
  const Report report = judge_tree(entries, options);
  if (report.findings.size() > options.max_findings) std::abort();
  const std::string key = tree_key(entries, "a/b");
  const Report again = judge_tree(entries, options);
  if (again.findings.size() != report.findings.size()) std::abort();
  std::reverse(entries.begin(), entries.end());
  // Two entries of one path are no repository; the key may differ then.
  std::vector<std::string> paths;
  for (const auto& entry: entries)
    paths.push_back(entry.path);
  std::sort(paths.begin(), paths.end());
  const bool unique = std::adjacent_find(paths.begin(), paths.end()) == paths.end();
  if (unique && tree_key(entries, "a/b") != key) std::abort();
  return 0;
}
