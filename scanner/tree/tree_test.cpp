#include "scanner/tree/tree.hpp"

#include "scanner/tree/judge.hpp"
#include "scanner/tree/paths.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>

namespace hubgate {
namespace {

using ::testing::HasSubstr;

// A repository under construction. Files have clean reports unless a test says otherwise.
class Repository {
public:
  TreeEntry& file(std::string path, std::string format = "text") {
    Report& report = reports_.emplace_back();
    report.format = std::move(format);
    TreeEntry& entry = entries_.emplace_back();
    entry.path = std::move(path);
    entry.sha256 = std::string(64, 'a');
    entry.size = 100;
    entry.report = &report;
    return entry;
  }
  Report& report_of(const std::string& path) {
    for (std::size_t i = 0; i < entries_.size(); ++i)
      if (entries_[i].path == path) return reports_[i];
    throw std::out_of_range(path);
  }
  Repository& refers(const std::string& from, std::string kind, std::string target,
                     std::string condition = "") {
    report_of(from).references.push_back(
        {std::move(kind), std::move(target), "", 0, std::move(condition)});
    return *this;
  }
  Repository& finds(const std::string& path, Severity severity) {
    Finding finding;
    finding.rule = "python-exec";
    finding.severity = severity;
    finding.evidence = "exec(x)";
    report_of(path).findings.push_back(finding);
    return *this;
  }
  TreeEntry& link(std::string path, std::string target) {
    TreeEntry& entry = file(std::move(path));
    entry.mode = FileMode::symlink;
    entry.target = std::move(target);
    return entry;
  }
  std::vector<TreeEntry> entries() const { return {entries_.begin(), entries_.end()}; }
  Report judge(std::string_view repo = "", const Report* together = nullptr) {
    TreeOptions options;
    options.repo = repo;
    options.repository = together;
    return judge_tree(entries(), options);
  }
  Report judge(const TreeOptions& options) {
    const std::vector<TreeEntry> entries(entries_.begin(), entries_.end());
    return judge_tree(entries, options);
  }

private:
  std::deque<Report> reports_;
  std::deque<TreeEntry> entries_;
};

std::vector<const Finding*> of_rule(const Report& report, std::string_view rule) {
  std::vector<const Finding*> out;
  for (const auto& finding: report.findings)
    if (finding.rule == rule) out.push_back(&finding);
  return out;
}

// The severity of the one finding of the rule; nothing when there is none.
std::optional<Severity> severity_of(const Report& report, std::string_view rule) {
  const auto found = of_rule(report, rule);
  return found.size() == 1 ? std::optional(found[0]->severity) : std::nullopt;
}

/// Nothing but the list of what runs.
bool only_entry_points(const Report& report) {
  return report.findings.size() == of_rule(report, "tree-entry-point").size();
}

bool quiet(const Report& report) {
  return report.gaps.empty() &&
         std::none_of(report.findings.begin(), report.findings.end(), [](const Finding& finding) {
           return finding.severity != Severity::informational;
         });
}

TEST(Paths, ReadAsTheLoosestLoaderReadsThem) {
  EXPECT_EQ(resolve_path("a/b.json", "c.bin").path, "a/c.bin");
  EXPECT_EQ(resolve_path("a/b.json", "./x/../../c.bin").path, "c.bin");
  EXPECT_EQ(resolve_path("b.json", "x\\y.bin").path, "x/y.bin");
  EXPECT_EQ(resolve_path("a/b.json", "../../c.bin").kind, PathKind::climbs);
  EXPECT_EQ(resolve_path("b.json", "x/../..\\c").kind, PathKind::climbs);
  for (const char* absolute: {"/etc/passwd", "\\\\host\\share", "C:\\x", "d:/x", "~/.ssh/id"})
    EXPECT_EQ(resolve_path("b.json", absolute).kind, PathKind::absolute) << absolute;
  EXPECT_EQ(resolve_path("b.json", "https://x/y").kind, PathKind::address);
  EXPECT_EQ(resolve_path("b.json", "://x").kind, PathKind::inside);
  EXPECT_EQ(resolve_path("a\\b/c", "d").path, "a\\b/d") << "a name of the repository stays itself";
}

TEST(Tree, AnHonestRepositoryIsQuiet) {
  Repository repo;
  repo.file("config.json", "json");
  repo.file("modeling_x.py", "python");
  repo.file("layers.py", "python");
  repo.file("model.safetensors.index.json", "json");
  repo.file("model-00001-of-00002.safetensors", "safetensors");
  repo.file("model-00002-of-00002.safetensors", "safetensors");
  repo.file("README.md");
  repo.refers("config.json", "code", "modeling_x.py")
      .refers("modeling_x.py", "import", ".layers")
      .refers("modeling_x.py", "import", "torch")
      .refers("model.safetensors.index.json", "file", "model-00001-of-00002.safetensors")
      .refers("model.safetensors.index.json", "file", "model-00002-of-00002.safetensors");
  const Report report = repo.judge("org/name");
  EXPECT_TRUE(only_entry_points(report));
  EXPECT_TRUE(report.gaps.empty());
  EXPECT_EQ(report.format, "tree");
  EXPECT_EQ(report.size, 700U);
}

TEST(Tree, AnIndexThatLeadsOutIsSuspicious) {
  for (const char* target: {"../../secret.bin", "/etc/shadow", "https://evil.example/x", "C:\\x"}) {
    Repository repo;
    repo.file("sub/model.safetensors.index.json", "json");
    repo.refers("sub/model.safetensors.index.json", "file", target);
    EXPECT_EQ(severity_of(repo.judge(), "tree-reference-outside"), Severity::suspicious) << target;
  }
}

TEST(Tree, PathsOfTheMachineThatSavedAConfigurationAreUsual) {
  Repository repo;
  repo.file("tokenizer_config.json", "json");
  repo.refers("tokenizer_config.json", "file", "/home/me/vocab.txt");
  EXPECT_EQ(severity_of(repo.judge(), "tree-reference-outside"), Severity::informational);
  repo.refers("tokenizer_config.json", "file", "../../vocab.txt");
  EXPECT_FALSE(quiet(repo.judge()));
}

TEST(Tree, AReferenceHoldsUnderItsConditionOnly) {
  Repository repo;
  repo.file("notes.json", "json");
  repo.refers("notes.json", "file", "../x", "*.index.json");
  EXPECT_TRUE(repo.judge().findings.empty());
}

TEST(Tree, AnIndexOfSafetensorsNamesNoPickle) {
  Repository repo;
  repo.file("model.safetensors.index.json", "json");
  repo.file("shard.bin", "pytorch");
  repo.file("pytorch_model.bin.index.json", "json");
  repo.refers("pytorch_model.bin.index.json", "file", "shard.bin");
  EXPECT_TRUE(quiet(repo.judge()));
  repo.refers("model.safetensors.index.json", "file", "shard.bin");
  EXPECT_EQ(severity_of(repo.judge(), "tree-index-kind"), Severity::suspicious);
}

TEST(Tree, APickleUnderASafeNameIsStillAPickle) {
  Repository repo;
  repo.file("model.safetensors.index.json", "json");
  repo.file("a.safetensors", "pickle");
  repo.refers("model.safetensors.index.json", "file", "a.safetensors");
  EXPECT_EQ(severity_of(repo.judge(), "tree-index-kind"), Severity::suspicious);
}

TEST(Tree, WhatIsMissingIsSaid) {
  Repository repo;
  repo.file("model.onnx", "onnx");
  repo.file("config.json", "json");
  repo.refers("model.onnx", "file", "model.onnx.data").refers("config.json", "code", "gone.py");
  const Report report = repo.judge();
  EXPECT_EQ(severity_of(report, "tree-reference-missing"), Severity::informational);
  EXPECT_EQ(severity_of(report, "tree-code-missing"), Severity::informational);
  EXPECT_TRUE(quiet(report));
}

TEST(Tree, FindingsInReachedCodeAreTold) {
  Repository repo;
  repo.file("config.json", "json");
  repo.file("modeling_x.py", "python");
  repo.file("assets/__init__.py", "python");
  repo.file("assets/loader.py", "python");
  repo.file("unused.py", "python");
  repo.refers("config.json", "code", "modeling_x.XModel");
  repo.refers("modeling_x.py", "import", ".assets.loader.fetch");
  repo.finds("assets/loader.py", Severity::malicious).finds("unused.py", Severity::malicious);
  const Report report = repo.judge();
  const auto found = of_rule(report, "tree-code-reached");
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0]->severity, Severity::malicious);
  EXPECT_EQ(found[0]->where, "assets/loader.py");
  EXPECT_THAT(found[0]->evidence,
              HasSubstr("config.json -> modeling_x.py -> assets/loader.py: python-exec"));
}

TEST(Tree, CodeInHiddenPlacesIsSuspicious) {
  Repository repo;
  repo.file("config.json", "json");
  repo.file(".cache/loader.py", "python");
  repo.refers("config.json", "code", ".cache/loader.py");
  EXPECT_EQ(severity_of(repo.judge(), "tree-code-hidden"), Severity::suspicious);
}

TEST(Tree, ImportsInCirclesEnd) {
  Repository repo;
  repo.file("config.json", "json");
  repo.file("a.py", "python");
  repo.file("b.py", "python");
  repo.refers("config.json", "code", "a.py");
  repo.refers("a.py", "import", ".b").refers("b.py", "import", "a").refers("b.py", "import", "..x");
  EXPECT_TRUE(quiet(repo.judge()));
}

TEST(Tree, CodeOfAnotherRepositoryIsSuspicious) {
  Repository repo;
  repo.file("config.json", "json");
  repo.file("modeling_x.py", "python");
  repo.refers("config.json", "remote-code", "Org/Name--modeling_x.XModel");
  EXPECT_EQ(severity_of(repo.judge("other/name"), "tree-remote-code"), Severity::suspicious);
  EXPECT_EQ(severity_of(repo.judge(), "tree-remote-code"), Severity::suspicious);
  EXPECT_TRUE(only_entry_points(repo.judge("org/name"))) << "its own name is this repository";
  repo.finds("modeling_x.py", Severity::suspicious);
  EXPECT_EQ(severity_of(repo.judge("org/name"), "tree-code-reached"), Severity::suspicious);
}

TEST(Tree, AModuleInPlaceOfALibraryIsMalicious) {
  for (const char* path: {"os.py", "torch.py", "numpy/__init__.py", "json.pyc",
                          "torch.cpython-311-x86_64-linux-gnu.so"}) {
    Repository repo;
    repo.file(path, "python");
    repo.file("train.py", "python");
    EXPECT_EQ(severity_of(repo.judge(), "tree-shadow-module"), Severity::malicious) << path;
  }
}

TEST(Tree, ShadowsNeedSomebodyWhoImports) {
  Repository repo;
  repo.file("torch.py", "python");
  repo.file("model.safetensors", "safetensors");
  EXPECT_TRUE(quiet(repo.judge()));
  repo.file("pytorch_model.bin", "pytorch");
  EXPECT_EQ(severity_of(repo.judge(), "tree-shadow-module"), Severity::malicious);
  Repository nested;
  nested.file("numpy.py", "python");
  nested.file("src/run.py", "python");
  EXPECT_TRUE(quiet(nested.judge()));
  nested.refers("src/run.py", "import", "numpy.linalg");
  EXPECT_EQ(severity_of(nested.judge(), "tree-shadow-module"), Severity::malicious);
}

TEST(Tree, NamesThatPeopleUseAreNoShadows) {
  Repository repo;
  for (const char* path: {"train.py", "test.py", "utils.py", "datasets.py", "code/inference.py",
                          "numpy/data.txt", "src/torch.py"})
    repo.file(path, "python");
  EXPECT_TRUE(repo.judge().findings.empty());
}

TEST(Tree, ALibraryMayBeItself) {
  Repository repo;
  repo.file("numpy/__init__.py", "python");
  repo.file("setup.py", "python");
  repo.file("numpy/tests/data.npy", "numpy");
  repo.file("distutils-precedence.pth", "text");
  EXPECT_TRUE(only_entry_points(repo.judge())) << "tests of a library have weights too";
  repo.file("model.safetensors", "safetensors");
  EXPECT_EQ(severity_of(repo.judge(), "tree-shadow-module"), Severity::malicious)
      << "a repository of a model is no library";
  for (int i = 0; i < 30; ++i)
    repo.file("numpy/part" + std::to_string(i) + ".py", "python");
  EXPECT_EQ(severity_of(repo.judge(), "tree-shadow-module"), Severity::suspicious);
}

TEST(Tree, APoisonedTwinOfSafetensorsIsTold) {
  Repository repo;
  repo.file("model.safetensors", "safetensors");
  repo.file("pytorch_model.bin", "pytorch");
  EXPECT_EQ(severity_of(repo.judge(), "tree-unsafe-twin"), Severity::informational);
  repo.finds("pytorch_model.bin", Severity::malicious);
  const Report report = repo.judge();
  EXPECT_EQ(severity_of(report, "tree-poisoned-twin"), Severity::malicious);
  EXPECT_TRUE(of_rule(report, "tree-unsafe-twin").empty());
}

TEST(Tree, TwinsAreOfOneFolderAndStem) {
  Repository repo;
  repo.file("model.safetensors", "safetensors");
  repo.file("training_args.bin", "pytorch");
  repo.file("onnx/pytorch_model.bin", "pytorch");
  repo.finds("training_args.bin", Severity::malicious);
  EXPECT_TRUE(repo.judge().findings.empty());
  repo.file("pytorch_model-00001-of-00002.bin", "pytorch");
  EXPECT_EQ(severity_of(repo.judge(), "tree-unsafe-twin"), Severity::informational);
}

TEST(Tree, AReferenceToALinkIsSuspicious) {
  Repository repo;
  repo.file("model.onnx", "onnx");
  repo.link("model.onnx.data", "other.bin");
  repo.refers("model.onnx", "file", "model.onnx.data");
  EXPECT_EQ(severity_of(repo.judge(), "tree-reference-link"), Severity::suspicious);
  Repository folder;
  folder.file("model.onnx", "onnx");
  folder.link("data", "elsewhere");
  folder.refers("model.onnx", "file", "data/w.bin");
  EXPECT_EQ(severity_of(folder.judge(), "tree-reference-link"), Severity::suspicious);
}

TEST(Tree, CompanionsHaveTheBytesThatAreRead) {
  Repository repo;
  repo.file("sub/model.xml", "xml");
  repo.file("sub/model.bin", "opaque").size = 100;
  repo.refers("sub/model.xml", "extent", "{stem}.bin 100");
  EXPECT_TRUE(repo.judge().findings.empty());
  repo.refers("sub/model.xml", "extent", "{stem}.bin 101");
  EXPECT_EQ(severity_of(repo.judge(), "tree-companion-short"), Severity::suspicious);
  repo.refers("sub/model.xml", "extent", "gone 1");
  EXPECT_EQ(severity_of(repo.judge(), "tree-reference-missing"), Severity::informational);
}

TEST(Tree, ShardsFarSmallerThanTheirIndexSays) {
  Repository repo;
  repo.file("model.safetensors.index.json", "json");
  repo.file("a.safetensors", "safetensors").size = 1000;
  repo.refers("model.safetensors.index.json", "file", "a.safetensors");
  repo.refers("model.safetensors.index.json", "dimension", "total_size 4000");
  EXPECT_TRUE(repo.judge().findings.empty()) << "another precision";
  Repository fake;
  fake.file("model.safetensors.index.json", "json");
  fake.file("a.safetensors", "safetensors").size = 1000;
  fake.refers("model.safetensors.index.json", "file", "a.safetensors");
  fake.refers("model.safetensors.index.json", "dimension", "total_size 13476839424");
  EXPECT_EQ(severity_of(fake.judge(), "tree-fake-weights"), Severity::suspicious);
  fake.refers("model.safetensors.index.json", "file", "not-here.safetensors");
  EXPECT_TRUE(of_rule(fake.judge(), "tree-fake-weights").empty()) << "not all are here";
}

TEST(Tree, WeightsFarSmallerThanTheConfigurationSays) {
  const auto made = [](std::uint64_t size, const char* more) {
    Repository repo;
    repo.file("config.json", "json");
    repo.file("model.safetensors", "safetensors").size = size;
    repo.file(more);
    repo.refers("config.json", "dimension", "hidden_size 4096");
    repo.refers("config.json", "dimension", "num_hidden_layers 32");
    repo.refers("config.json", "dimension", "vocab_size 32000");
    return severity_of(repo.judge(), "tree-fake-weights");
  };
  EXPECT_EQ(made(1'000'000, "README.md"), Severity::informational);
  EXPECT_FALSE(made(1'000'000'000, "README.md"));
  EXPECT_FALSE(made(1'000'000, "adapter_model.safetensors")) << "an adapter beside a base's config";
}

TEST(Tree, LinksThatLeadOutAreMalicious) {
  for (const char* target: {"../x", "/etc/passwd", ".git/config", "sub/../.GIT/hooks/x"}) {
    Repository repo;
    repo.link("model.bin", target);
    EXPECT_EQ(severity_of(repo.judge(), "tree-link-outside"), Severity::malicious) << target;
  }
  Repository repo;
  repo.link("a/model.bin", "../other.bin");
  EXPECT_TRUE(repo.judge().findings.empty());
}

TEST(Tree, APickleUnderTheNameOfSkopsIsSuspicious) {
  Repository repo;
  repo.file("model.skops", "pickle");
  EXPECT_EQ(severity_of(repo.judge(), "tree-named-skops"), Severity::suspicious);
  Repository honest;
  honest.file("model.skops", "zip");
  honest.file("model.pkl", "pickle");
  EXPECT_TRUE(honest.judge().findings.empty());
}

TEST(Tree, LinksOutOfAPlainFolderAreSuspiciousUnlessTheyLeadToSecrets) {
  TreeOptions folder;
  folder.plain_folder = true;
  const std::vector<std::pair<const char*, Severity>> cases{
      {"../x", Severity::suspicious},
      {"/mnt/models/model.bin", Severity::suspicious},
      {"/etc/passwd", Severity::malicious},
      {"../../home/user/.ssh/id_rsa", Severity::malicious},
      {"../.git/config", Severity::malicious}};
  for (const auto& [target, severity]: cases) {
    Repository repo;
    repo.link("model.bin", target);
    EXPECT_EQ(severity_of(repo.judge(folder), "tree-link-outside"), severity) << target;
  }
}

TEST(Tree, ASnapshotOfTheCacheIsUnreadNotMalicious) {
  Repository repo;
  repo.link("model.bin", "../../blobs/" + std::string(64, 'a'));
  repo.link("config.json", "../../blobs/" + std::string(40, 'b'));
  const Report report = repo.judge();
  EXPECT_TRUE(report.findings.empty());
  ASSERT_EQ(report.gaps.size(), 1U);
  EXPECT_EQ(report.gaps[0].reason, Reason::unreadable);
}

TEST(Tree, PathsThatDifferInCaseOnly) {
  Repository repo;
  repo.file("Model.bin", "pytorch");
  repo.file("model.bin", "pytorch");
  EXPECT_EQ(severity_of(repo.judge(), "tree-case-duplicate"), Severity::suspicious);
  repo.link("MODEL.bin", "x");
  const Report report = repo.judge();
  EXPECT_EQ(of_rule(report, "tree-case-duplicate").back()->severity, Severity::malicious);
}

TEST(Tree, SubmodulesAndPointersAreTold) {
  Repository repo;
  TreeEntry& module = repo.file("vendor");
  module.mode = FileMode::submodule;
  module.sha256 = "0123";
  module.report = nullptr;
  EXPECT_EQ(severity_of(repo.judge(), "tree-submodule"), Severity::informational);
  repo.file("model.safetensors").pointer = true;
  const Report report = repo.judge();
  EXPECT_EQ(severity_of(report, "tree-lfs-pointer"), Severity::informational);
  ASSERT_EQ(report.gaps.size(), 1U);
  EXPECT_EQ(report.gaps[0].where, "model.safetensors");
}

TEST(Tree, WhatDecidesAndWasNotReadIsAGap) {
  Repository repo;
  repo.file("modeling_x.py").report = nullptr;
  repo.file("model.safetensors").report = nullptr;
  const Report report = repo.judge();
  ASSERT_EQ(report.gaps.size(), 1U);
  EXPECT_EQ(report.gaps[0].where, "modeling_x.py");
  EXPECT_EQ(report.gaps[0].reach, Reach::load);
}

TEST(Licences, OfWeightsAndCardAreCompared) {
  Repository repo;
  repo.file("README.md", "card");
  repo.refers("README.md", "licence", "apache-2.0");
  repo.file("model.safetensors", "weights");
  repo.refers("model.safetensors", "licence", "Apache License, Version 2.0");
  EXPECT_EQ(severity_of(repo.judge(), "tree-licence-differs"), std::nullopt);
  repo.report_of("model.safetensors").references[0].target = "CC-BY-NC-4.0";
  EXPECT_EQ(severity_of(repo.judge(), "tree-licence-differs"), Severity::informational);
  repo.report_of("model.safetensors").references[0].target = "https://example.test/terms";
  EXPECT_EQ(severity_of(repo.judge(), "tree-licence-differs"), std::nullopt);
}

// A file without a header, and what describes it.
class Described : public ::testing::Test {
protected:
  Described() {
    repo.file("sub/model.onnx", "onnx");
    repo.refers("sub/model.onnx", "described", "weights.bin 100");
    repo.file("sub/weights.bin", "");
    repo.report_of("sub/weights.bin").gaps.push_back({Reason::opaque, Reach::data, "", 0, "", {}});
  }
  // The path of what accounts for `path`, "" when nothing does.
  std::string by(const std::string& path = "sub/weights.bin") {
    const std::vector<TreeEntry> entries = repo.entries();
    const auto described = described_files(entries);
    for (std::size_t i = 0; i < entries.size(); ++i)
      if (entries[i].path == path && described[i]) return entries[*described[i]].path;
    return "";
  }
  Repository repo;
};

TEST_F(Described, BytesAreAccountedForByACompleteAnalysis) {
  EXPECT_EQ(by(), "sub/model.onnx");
  const Report report = as_described(repo.report_of("sub/weights.bin"), by());
  EXPECT_TRUE(report.complete());
  EXPECT_EQ(severity_of(report, "tree-described"), Severity::informational);
  EXPECT_THAT(report.findings[0].evidence, HasSubstr("sub/model.onnx"));
}

TEST_F(Described, NotWhenTheSizeDiffers) {
  repo.report_of("sub/model.onnx").references[0].target = "weights.bin 99";
  EXPECT_EQ(by(), "");
}

// Chunks of a zarr array, which say nothing themselves.
TEST_F(Described, ChunksOfAnArray) {
  const auto opaque = [&](const std::string& path, std::uint64_t bytes, const std::string& where) {
    repo.file(path, "");
    repo.report_of(path).gaps.push_back(
        {Reason::opaque,
         Reach::data,
         where,
         0,
         "no format claims these " + std::to_string(bytes) + " bytes",
         {}});
  };
  repo.file("old/.zarray", "zarr");
  repo.refers("old/.zarray", "chunks", "- . 2 64");
  repo.file("new/zarr.json", "zarr");
  repo.refers("new/zarr.json", "chunks", "c / 2 64");
  for (const char* path: {"old/0.1", "new/c/0/12"}) {
    opaque(path, 64, "content");
    EXPECT_NE(by(path), "") << path;
  }
  opaque("old/7.1", 64, "");
  EXPECT_EQ(by("old/7.1"), "old/.zarray");
  for (const char* path: {"old/0.1.2", "old/0", "old/0.", "old/a.b", "old/c/0/1", "new/0.1",
                          "new/c/0", "new/c/0/1/2", "new/d/0/1", "new/c.0.1", "other/0.1"}) {
    opaque(path, 64, "");
    EXPECT_EQ(by(path), "") << path;
  }
  opaque("old/5.5", 65, "");
  EXPECT_EQ(by("old/5.5"), "");
  opaque("old/6.5", 64, "content!@0x10");
  EXPECT_EQ(by("old/6.5"), "");
}

TEST_F(Described, NotByWhatWasNotReadToItsEnd) {
  repo.report_of("sub/model.onnx").gaps.push_back({Reason::budget, Reach::load, "", 0, "", {}});
  EXPECT_EQ(by(), "");
}

TEST_F(Described, NotByWhatIsSuspiciousItself) {
  repo.finds("sub/model.onnx", Severity::suspicious);
  EXPECT_EQ(by(), "");
}

TEST_F(Described, NotWhenSomethingWasFoundInTheBytes) {
  repo.finds("sub/weights.bin", Severity::suspicious);
  EXPECT_EQ(by(), "");
}

TEST_F(Described, NotWhenMoreThanOpaqueIsWrong) {
  repo.report_of("sub/weights.bin").gaps.push_back({Reason::budget, Reach::data, "", 0, "", {}});
  EXPECT_EQ(by(), "");
}

TEST_F(Described, NotByWhatLiesElsewhereOrInsideOfAContainer) {
  repo.report_of("sub/model.onnx").references[0].where = "inner.onnx";
  EXPECT_EQ(by(), "");
  repo.report_of("sub/model.onnx").references[0].where = "";
  repo.report_of("sub/model.onnx").references[0].target = "../weights.bin 100";
  EXPECT_EQ(by(), "");
}

TEST_F(Described, FilesOfOnePlaceCountTogether) {
  repo.file("sub/shard2", "");
  repo.report_of("sub/shard2").gaps.push_back({Reason::opaque, Reach::data, "", 0, "", {}});
  Report& model = repo.report_of("sub/model.onnx");
  model.references.clear();
  repo.refers("sub/model.onnx", "described", "weights.bin 200");
  EXPECT_EQ(by(), "");
  repo.refers("sub/model.onnx", "described", "shard2 200");
  EXPECT_EQ(by(), "sub/model.onnx");
  EXPECT_EQ(by("sub/shard2"), "sub/model.onnx");
  repo.refers("sub/model.onnx", "described", "shard3 200");
  EXPECT_EQ(by(), "") << "one of them is missing";
}

TEST(Tree, LimitsAreGapsAndTheWorstFindingsStay) {
  Repository repo;
  for (int i = 0; i < 20; ++i)
    repo.link("link" + std::to_string(i), "/x").mode = FileMode::submodule;
  repo.link("zlast", "/x");
  std::vector<TreeEntry> entries;
  Repository other;
  TreeOptions options;
  options.max_entries = 3;
  for (int i = 0; i < 5; ++i)
    entries.push_back(other.file("f" + std::to_string(i)));
  EXPECT_EQ(judge_tree(entries, options).gaps[0].reason, Reason::budget);
  options = {};
  options.max_findings = 2;
  entries.clear();
  for (int i = 0; i < 5; ++i) {
    TreeEntry& entry = other.file("s" + std::to_string(i));
    entry.mode = i == 4 ? FileMode::symlink : FileMode::submodule;
    entry.target = "/etc";
    entries.push_back(entry);
  }
  const Report report = judge_tree(entries, options);
  EXPECT_EQ(report.findings.size(), 2U);
  EXPECT_EQ(report.dropped, 3U);
  EXPECT_EQ(severity_of(report, "tree-link-outside"), Severity::malicious);
}

TEST(Tree, TheKeyIsOfPathsModesAndContents) {
  Repository repo;
  std::vector<TreeEntry> entries{repo.file("a"), repo.file("b")};
  const std::string key = tree_key(entries, "o/n");
  std::swap(entries[0], entries[1]);
  EXPECT_EQ(tree_key(entries, "o/n"), key) << "order does not count";
  EXPECT_NE(tree_key(entries, "o/m"), key);
  entries[0].mode = FileMode::executable;
  EXPECT_NE(tree_key(entries, "o/n"), key);
  entries[0].mode = FileMode::regular;
  entries[0].sha256[3] = 'b';
  EXPECT_NE(tree_key(entries, "o/n"), key);
}

TEST(Tree, RulesHaveNamesAndMeanings) {
  for (const auto& one: tree_rules()) {
    EXPECT_TRUE(one.id.starts_with("tree-")) << one.id;
    EXPECT_FALSE(one.meaning.empty()) << one.id;
  }
  EXPECT_EQ(tree::rule(tree::RuleId::lfs_pointer).id, "tree-lfs-pointer");
  EXPECT_EQ(tree::rule(tree::RuleId::described).id, tree_rules().back().id);
}

TEST(Tree, entry_points_are_shown_with_what_they_import) {
  Repository repository;
  repository.file("ds.py", "python");
  repository.file("data.py", "python");
  repository.file("util/net.py", "python");
  repository.file("setup.py", "python");
  repository.file("other.py", "python");
  repository.report_of("ds.py").findings.push_back(
      {.rule = "python-entry-point", .severity = Severity::informational, .condition = "*.py"});
  repository.refers("ds.py", "import", ".data").refers("data.py", "import", "util.net");
  const Report report = repository.judge();
  const auto entries = of_rule(report, "tree-entry-point");
  ASSERT_EQ(entries.size(), 2U);
  EXPECT_EQ(entries[0]->where, "ds.py");
  EXPECT_THAT(entries[0]->evidence, HasSubstr("ds.py -> data.py -> util/net.py"));
  EXPECT_EQ(entries[1]->where, "setup.py");
  EXPECT_TRUE(quiet(report));
}

TEST(Tree, what_an_entry_point_imports_is_reached) {
  Repository repository;
  repository.file("hubconf.py", "python");
  repository.file("net.py", "python");
  repository.file("other.py", "python");
  repository.refers("hubconf.py", "import", "net");
  repository.finds("net.py", Severity::suspicious).finds("other.py", Severity::suspicious);
  const Report report = repository.judge();
  const auto reached = of_rule(report, "tree-code-reached");
  ASSERT_EQ(reached.size(), 1U);
  EXPECT_EQ(reached[0]->where, "net.py");
  EXPECT_EQ(reached[0]->severity, Severity::suspicious);
}

TEST(Tree, what_only_tests_import_is_not_reached_by_loading) {
  Repository repository;
  repository.file("conftest.py", "python");
  repository.file("net.py", "python");
  repository.refers("conftest.py", "import", "net").finds("net.py", Severity::suspicious);
  EXPECT_TRUE(quiet(repository.judge()));
  // Files that name each other end.
  repository.refers("net.py", "code", "conftest.py").refers("conftest.py", "code", "net.py");
  EXPECT_EQ(of_rule(repository.judge(), "tree-code-reached").size(), 1U);
}

TEST(Tree, what_the_code_does_together_is_said_once) {
  Repository repository;
  repository.file("a.py", "python");
  repository.file("b.py", "python");
  repository.report_of("a.py").findings.push_back({.rule = "python-execution",
                                                   .severity = Severity::malicious,
                                                   .offset = 7,
                                                   .condition = "*.py"});
  Report together;
  for (const std::uint64_t offset: {7, 90})
    together.findings.push_back({.rule = "python-execution",
                                 .severity = Severity::malicious,
                                 .where = "a.py",
                                 .offset = offset});
  together.gaps.push_back(Gap{Reason::budget, Reach::load, "b.py", 0, "too much", {}});
  const Report report = repository.judge("", &together);
  const auto found = of_rule(report, "python-execution");
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0]->offset, 90U);
  ASSERT_EQ(report.gaps.size(), 1U);
  EXPECT_EQ(report.gaps[0].where, "b.py");
}

TEST(Tree, code_is_gathered_what_runs_at_load_first) {
  Repository repository;
  repository.file("a.py", "python");
  repository.file("b.py", "python");
  repository.file("hubconf.py", "python");
  repository.file("notes.md");
  repository.refers("hubconf.py", "import", "b");
  std::vector<std::string> asked;
  const auto entries = repository.entries();
  const RepositoryCode code =
      repository_code(entries, TreeOptions{}, [&](std::size_t i) -> std::optional<std::string> {
        asked.push_back(entries[i].path);
        if (entries[i].path == "b.py") return std::nullopt;
        return "x = 1\n";
      });
  EXPECT_EQ(asked, (std::vector<std::string>{"hubconf.py", "b.py", "a.py"}));
  EXPECT_EQ(code.bundle.files(), 2U);
  ASSERT_EQ(code.gaps.size(), 1U); // runs at load and could not be read
  EXPECT_EQ(code.gaps[0].where, "b.py");
}

} // namespace
} // namespace hubgate
