#include "scanner/formats/pytorch/script.hpp"
#include "scanner/formats/pytorch/storage.hpp"
#include "tests/support/corpus.hpp"
#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

using test::find_rule;
using test::is_clean;
using test::scan_bytes;
using test::show;

constexpr const char* k_corpus = "scanner/formats/pytorch/corpus";

TEST(Pytorch, honest_checkpoints_are_clean_and_their_storages_not_opaque) {
  for (const auto& [name, bytes]: test::corpus(k_corpus, "good_")) {
    const Report report = scan_bytes(bytes);
    EXPECT_TRUE(is_clean(report)) << name << " " << show(report);
    EXPECT_EQ(report.format, "pytorch") << name;
  }
}

TEST(Pytorch, is_never_clean_when_cut) {
  const std::string whole = test::corpus(k_corpus, "good_zip").at("good_zip");
  for (std::size_t n = 1; n < whole.size(); ++n) {
    const Report report = scan_bytes(std::string_view(whole).substr(0, n));
    EXPECT_FALSE(is_clean(report) && report.format != "text") << n << " " << show(report);
  }
}

TEST(Pytorch, every_rule_fires) {
  for (const auto& [name, rule]:
       std::map<std::string, std::string>{{"bad_upper_case", "pytorch-record-name"},
                                          {"bad_pickle_in_storage", "pytorch-storage-pickle"},
                                          {"bad_missing_storage", "pytorch-storage-reference"},
                                          {"bad_wrong_size", "pytorch-storage-reference"},
                                          {"bad_torchscript", "pytorch-torchscript"}}) {
    const Report report = scan_bytes(test::corpus(k_corpus, name).at(name));
    EXPECT_NE(find_rule(report, rule), nullptr) << name << " " << show(report);
    EXPECT_EQ(report.format, "pytorch") << name;
  }
}

TEST(Pytorch, knows_the_size_of_storages) {
  EXPECT_EQ(pytorch::item_size_of("torch.FloatStorage"), 4U);
  EXPECT_EQ(pytorch::item_size_of("torch.storage.UntypedStorage"), 1U);
  EXPECT_EQ(pytorch::item_size_of("torch.cuda.HalfStorage"), 2U);
  EXPECT_EQ(pytorch::item_size_of("torch.float8_e4m3fn"), 1U);
  EXPECT_EQ(pytorch::item_size_of("torch.load"), 0U);
  EXPECT_EQ(pytorch::item_size_of("os.FloatStorage"), 0U);
  const pytorch::Storage huge{.elements = ~std::uint64_t{0}, .item_size = 8};
  EXPECT_FALSE(huge.bytes());
}

Report judge(std::string_view text, bool operators = false) {
  static std::string_view current;
  static bool bytes;
  current = text;
  bytes = operators;
  static const Format k_format{.name = "t",
                               .family = "t",
                               .probe = [](const Probe&) { return Claim::yes; },
                               .scan =
                                   [](Source&, Session& session) {
                                     if (bytes)
                                       pytorch::judge_operators(session, current, "x", 0);
                                     else
                                       pytorch::judge_script(session, current, "x", 0);
                                     return Reading::valid;
                                   },
                               .rules = {}};
  const std::array<const Format*, 1> table{&k_format};
  MemorySource source(as_bytes(text));
  return scan_object(table, source, {}, nullptr);
}

TEST(TorchScript, operators_that_leave_the_process_are_malicious) {
  for (const char* text:
       {"    torch.save(x, \"/tmp/x\")", "_0 = torch.from_file(\"/etc/passwd\", False, 10)",
        "ops.aten.save(x, f)", "(torch).save(x, f)", "getattr(torch, \"save\")(x, f)",
        "_0 = torch . \\\n save", "ops.image.read_file(f)", "getattr(ops.aten, \"from_file\")(f)",
        "ops.c10d.send(x)", "ops.prim.rpc_sync(x)", "ops.torchaudio.sox_io_load_audio_file(f)"})
    EXPECT_NE(find_rule(judge(text), "pytorch-script-effect"), nullptr)
        << text << show(judge(text));
  EXPECT_NE(find_rule(judge("X\nprefixaten::save q", true), "pytorch-script-effect"), nullptr);
}

TEST(TorchScript, unknown_libraries_and_other_names_are_suspicious) {
  for (const char* text:
       {"ops.evil.run(x)", "t = torch\nt.save(x, f)", "o = ops.aten\no.save(x)", "f(ops)",
        "ops.profiler._record_function_enter(f)", "x : __torch__.torch.classes.evil.Thing"})
    EXPECT_NE(find_rule(judge(text), "pytorch-script-operator"), nullptr)
        << text << show(judge(text));
}

TEST(TorchScript, honest_code_is_quiet) {
  for (const char* text:
       {"_0 = torch.add(x, y)\n_1 = ops.quantized.linear_dynamic(x, p)",
        "x = \"torch.save(x, f)\" # torch.save",
        "l : __torch__.torch.nn.modules.linear.Linear\n_0 = (self.torch).save(x, )",
        "ops.prim.RaiseException(\"x\")", "ops.torchvision.nms(b, s, 0.5)",
        "p : __torch__.torch.classes.quantized.LinearPackedParamsBase",
        "ops.image.decode_jpeg(x, 0)"})
    EXPECT_TRUE(judge(text).findings.empty()) << text << show(judge(text));
}

} // namespace
} // namespace hubgate
