#include "scanner/formats/pickle/pickle.hpp"

#include "scanner/formats/pickle/names.hpp"
#include "scanner/formats/pickle/rules.hpp"
#include "scanner/formats/pickle/walk.hpp"
#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

#include <array>

namespace hubgate {
extern const Format format_pickle;
namespace {

using test::find_rule;
using test::has_gap;
using test::is_clean;
using test::show;

// Only this format, so that the tests say what it alone sees.
Report scan_pickle_bytes(std::string_view bytes, ReportSink* sink = nullptr,
                         const Limits& limits = {}) {
  static constexpr std::array<const Format*, 1> k_table{&format_pickle};
  MemorySource source(as_bytes(bytes));
  return scan_object(k_table, source, limits, sink);
}

std::string text(std::string_view value) {
  return "\x8c" + std::string(1, static_cast<char>(value.size())) + std::string(value);
}
std::string global(std::string_view module, std::string_view name) {
  return text(module) + text(name) + "\x93";
}
std::string header(char version = 4) {
  return std::string("\x80") + version;
}

const std::string k_system =
    global("os", "system") + "(" + text("echo hubgate-inert-marker") + "tR";
const std::string k_exploit = header() + k_system + ".";
const std::string k_data = header() + "}\x94(" + text("weights") +
                           "](K\x01K\x02"
                           "e" +
                           text("name") + text("honest") + "u.";

TEST(Pickle, EvidenceIsTheCallWithItsPlace) {
  const Report report = scan_pickle_bytes(k_exploit);
  const Finding* finding = find_rule(report, "pickle-dangerous-call");
  ASSERT_NE(finding, nullptr) << show(report);
  EXPECT_EQ(finding->evidence, "os.system('echo hubgate-inert-marker')");
  EXPECT_EQ(finding->severity, Severity::malicious);
  EXPECT_EQ(finding->offset, k_exploit.size() - 2);
  EXPECT_EQ(finding->length, 1U);
  EXPECT_TRUE(report.complete()) << show(report);
}

std::optional<Severity> worst_of(const Report& report) {
  std::optional<Severity> worst;
  for (const Finding& finding: report.findings)
    if (!worst || finding.severity == Severity::malicious) worst = finding.severity;
  return worst;
}

struct Shown final : ReportSink {
  std::vector<Listing> lines;
  void on_finding(const Finding&) override {}
  void on_gap(const Gap&) override {}
  void on_release(std::uint64_t) override {}
  void on_rest_is_inert(std::uint64_t) override {}
  void on_listing(const Listing& line) override { lines.push_back(line); }

  std::string of(std::string_view kind) const {
    std::string out;
    for (const Listing& line: lines)
      if (line.kind == kind) out += std::to_string(line.offset) + " " + line.text + "\n";
    return out;
  }
};

Shown shown_of(std::string_view bytes) {
  Limits limits;
  limits.listings = 1000;
  Shown shown;
  scan_pickle_bytes(bytes, &shown, limits);
  return shown;
}

TEST(Pickle, OpcodesAndProgramAreShownToWhoAsks) {
  const Shown shown = shown_of("cos\nsystem\n(Vecho 1\ntR.");
  EXPECT_EQ(shown.of("code"), "0 from os import system\n"
                              "21 _var0 = system('echo 1')\n"
                              "22 result = _var0\n");
  EXPECT_EQ(shown.of("disassembly"), "0 c    GLOBAL     'os system'\n"
                                     "11 (    MARK\n"
                                     "12 V        UNICODE    'echo 1'\n"
                                     "20 t        TUPLE      (MARK at 11)\n"
                                     "21 R    REDUCE\n"
                                     "22 .    STOP\n");
  // Arguments as Python writes them.
  const std::string data = shown_of(header() + "}\x94(K\x01G\x3f\xb9\x99\x99\x99\x99\x99\x9a"
                                               "\x8a\x09\x01\x01\x01\x01\x01\x01\x01\x01\x80"
                                               "C\x02'\xff"
                                               "u.")
                               .of("disassembly");
  for (const char* part: {"EMPTY_DICT", "MEMOIZE    (as 0)", "BINFLOAT   0.1",
                          "LONG1      -2361110901261984530175", "SHORT_BINBYTES b\"'\\xff\""})
    EXPECT_NE(data.find(part), std::string::npos) << part << "\n" << data;
}

TEST(Pickle, ABreakIsShownWhereItIs) {
  const std::string bytes = header() + k_system + "\xff" + std::string(64, ' ') + k_exploit;
  const Shown shown = shown_of(bytes);
  const std::string at = std::to_string(header().size() + k_system.size());
  EXPECT_NE(shown.of("disassembly").find(at + " the pickle breaks here"), std::string::npos)
      << shown.of("disassembly");
  // And what is found behind it.
  EXPECT_NE(shown.of("disassembly").find(std::to_string(bytes.size() - 1) + " .    STOP"),
            std::string::npos);
}

TEST(Pickle, NothingIsShownUnlessSomebodyAsks) {
  Shown shown;
  scan_pickle_bytes(k_exploit, &shown);
  EXPECT_TRUE(shown.lines.empty());
}

TEST(Pickle, PlainDataIsCleanAndComplete) {
  const Report report = scan_pickle_bytes(k_data);
  EXPECT_TRUE(is_clean(report)) << show(report);
  EXPECT_EQ(report.format, "pickle");
}

// As functools.partial pickles itself: the call, then the state that repeats it.
TEST(Pickle, PartialApplicationOfWhatOnlyMakesValuesIsClean) {
  const std::string partial = global("functools", "partial");
  const auto written = [&](const std::string& first, const std::string& second) {
    return header() + partial + first + "\x85R(" + second + ")}Ntb.";
  };
  const std::string full = global("numpy", "full");
  const std::string system = global("os", "system");
  EXPECT_TRUE(is_clean(scan_pickle_bytes(written(full, full))))
      << show(scan_pickle_bytes(written(full, full)));
  for (const std::string& bad:
       {written(full, system), written(system, full), written(system, system)})
    EXPECT_EQ(worst_of(scan_pickle_bytes(bad)), Severity::malicious);
  // TfidfModel of gensim holds two: the class may hold what is allowed and nothing else.
  const auto held = [&](const std::string& function) {
    return header() + global("gensim.models.tfidfmodel", "TfidfModel") + ")\x81}\x8c\x06wlocal" +
           partial + function + "\x85R(" + function + ")}Ntbsb.";
  };
  const std::string local = global("gensim.models.tfidfmodel", "smartirs_wlocal");
  EXPECT_TRUE(is_clean(scan_pickle_bytes(held(local)))) << show(scan_pickle_bytes(held(local)));
  EXPECT_EQ(worst_of(scan_pickle_bytes(held(system))), Severity::malicious);
  EXPECT_NE(
      find_rule(scan_pickle_bytes(held(global("builtins", "getattr"))), "pickle-callable-state"),
      nullptr);
  // Who calls it at load is told, whatever it is made of.
  EXPECT_FALSE(is_clean(scan_pickle_bytes(header() + partial + full + "\x85R)R.")));
}

// A prefix of a pickle is never clean, and keeps what its calls were found to do.
TEST(Pickle, EveryPrefixIsInconclusiveAndKeepsItsFindings) {
  for (const std::string& whole: {k_exploit, k_data}) {
    for (std::size_t n = 1; n < whole.size(); ++n) {
      const Report report = scan_pickle_bytes(whole.substr(0, n));
      EXPECT_FALSE(report.complete()) << n << show(report);
    }
  }
  const Report cut = scan_pickle_bytes(k_exploit.substr(0, k_exploit.size() - 1));
  EXPECT_NE(find_rule(cut, "pickle-dangerous-call"), nullptr) << show(cut);
  EXPECT_NE(find_rule(cut, "pickle-broken-after-call"), nullptr) << show(cut);
  EXPECT_TRUE(has_gap(cut, Reason::truncated)) << show(cut);
}

TEST(Pickle, TextAndTensorsAreNoPickle) {
  for (const std::string_view bytes:
       {"a,b,c\n1,2,3\n", "import os\nprint(1)\n", "class A:\n  pass\n", "{\"a\": 1}", "(define x)",
        "config\nvalue\n", "In the beginning.", "Some text. More.", "1.5 2.5\n", "N.", "}."}) {
    const Report report = scan_pickle_bytes(bytes);
    EXPECT_EQ(report.format, "") << bytes << show(report);
    EXPECT_TRUE(report.findings.empty()) << bytes << show(report);
  }
  std::string noise;
  std::uint32_t state = 1;
  for (int i = 0; i < 1 << 16; ++i)
    noise += static_cast<char>((state = state * 1664525u + 1013904223u) >> 24);
  EXPECT_TRUE(scan_pickle_bytes(noise).findings.empty());
}

// The release offset never passes a call that was not reported before.
TEST(Pickle, ReleaseStaysBehindTheFindings) {
  struct Sink final : ReportSink {
    std::uint64_t released = 0;
    std::uint64_t at_finding = ~std::uint64_t{0};
    void on_finding(const Finding& finding) override {
      if (finding.rule == "pickle-dangerous-call") at_finding = released;
    }
    void on_gap(const Gap&) override {}
    void on_release(std::uint64_t offset) override { released = offset; }
    void on_rest_is_inert(std::uint64_t) override {}
  };
  const std::string padding = "C\xff" + std::string(255, 'x') + "0";
  std::string bytes = header();
  for (int i = 0; i < 2000; ++i)
    bytes += padding;
  const std::size_t call = bytes.size() + k_system.size() - 1;
  bytes += k_system + "0";
  for (int i = 0; i < 2000; ++i)
    bytes += padding;
  bytes += "N.";
  Sink sink;
  const Report report = scan_pickle_bytes(bytes, &sink);
  ASSERT_NE(find_rule(report, "pickle-dangerous-call"), nullptr) << show(report);
  EXPECT_LE(sink.at_finding, call);
  EXPECT_GT(sink.at_finding, call / 2);
  EXPECT_GT(sink.released, call);
}

TEST(Pickle, OpcodesAcrossWindowsAreRead) {
  // Every alignment of the call to the end of a window of 64 KiB.
  for (std::size_t shift = 0; shift < k_system.size() + 4; ++shift) {
    std::string bytes = header();
    while (bytes.size() < 65536 - k_system.size() - 300)
      bytes += "C\xff" + std::string(255, 'x') + "0";
    bytes += "B" + std::string("\0\0\0\0", 4);
    const std::size_t fill = 65536 - bytes.size() - k_system.size() - 1 + shift;
    bytes[bytes.size() - 4] = static_cast<char>(fill & 0xff);
    bytes[bytes.size() - 3] = static_cast<char>(fill >> 8);
    bytes += std::string(fill, 'y') + "0" + k_system + ".";
    const Report report = scan_pickle_bytes(bytes);
    const Finding* finding = find_rule(report, "pickle-dangerous-call");
    ASSERT_NE(finding, nullptr) << shift << show(report);
    EXPECT_EQ(finding->evidence, "os.system('echo hubgate-inert-marker')") << shift;
    EXPECT_TRUE(report.complete()) << shift << show(report);
  }
}

TEST(Pickle, AnArgumentOfSeveralMegabytesIsSkippedNotKept) {
  std::string bytes = header() + "B" + std::string("\0\0\x30\0", 4) + std::string(0x300000, 'z') +
                      "0" + k_system + ".";
  const Report report = scan_pickle_bytes(bytes);
  EXPECT_NE(find_rule(report, "pickle-dangerous-call"), nullptr) << show(report);
  EXPECT_TRUE(report.complete()) << show(report);
}

TEST(Pickle, WhatFollowsTheFirstStopIsScannedToo) {
  const Report two = scan_pickle_bytes(k_data + k_exploit);
  EXPECT_NE(find_rule(two, "pickle-dangerous-call"), nullptr) << show(two);
  EXPECT_NE(find_rule(two, "pickle-several"), nullptr) << show(two);
  const Report junk = scan_pickle_bytes(k_data + std::string(3000, '\xff') + k_exploit);
  EXPECT_NE(find_rule(junk, "pickle-dangerous-call"), nullptr) << show(junk);
  EXPECT_NE(find_rule(junk, "pickle-behind-junk"), nullptr) << show(junk);
}

TEST(Pickle, ABrokenStreamIsSearchedToItsEnd) {
  const Report report = scan_pickle_bytes(header() + "K\x01K\x02\x86\x94\xff" +
                                          std::string(100000, '\xfe') + k_exploit);
  EXPECT_TRUE(has_gap(report, Reason::malformed)) << show(report);
  EXPECT_NE(find_rule(report, "pickle-dangerous-call"), nullptr) << show(report);
}

TEST(Pickle, ManyValuesAgeOutButTheirClassDoesNot) {
  // An object made first and given its state last, with a million values in between.
  std::string bytes = header() + global("argparse", "Namespace") + ")\x81}" + text("x") + "](";
  for (int i = 0; i < 400000; ++i)
    bytes += "K\x01K\x02\x86";
  const Report report = scan_pickle_bytes(bytes + "esb.");
  EXPECT_TRUE(is_clean(report)) << show(report);
  // And the class counts: the same on something that is not allowed.
  bytes = header() + global("private_of_somebody", "Thing") + ")\x81}" + text("x") + "](";
  for (int i = 0; i < 400000; ++i)
    bytes += "K\x01K\x02\x86";
  const Report other = scan_pickle_bytes(bytes + "esb.");
  EXPECT_NE(find_rule(other, "pickle-unknown-class"), nullptr) << show(other);
}

// A frame inside of a frame that reaches beyond it sends the other reading into the same place.
TEST(Pickle, FramesThatStraddleEachOtherEnd) {
  const auto frame = [](char length) {
    return std::string("\x95") + length + std::string(7, '\0');
  };
  std::string bytes = header() + frame(20) + "N0" + frame(100) + "N0";
  for (int i = 0; i < 20; ++i)
    bytes += frame(15) + "N0" + frame(30) + "N0";
  const Report report = scan_pickle_bytes(bytes + k_system + ".");
  EXPECT_NE(find_rule(report, "pickle-frame-straddle"), nullptr) << show(report);
  EXPECT_NE(find_rule(report, "pickle-dangerous-call"), nullptr) << show(report);
}

TEST(Pickle, EveryRuleIsNamedOnceAndHasATechnique) {
  for (const Rule& rule: pickle::rules()) {
    EXPECT_TRUE(rule.id.starts_with("pickle-")) << rule.id;
    EXPECT_TRUE(rule.techniques.starts_with("PKL-") || rule.techniques.starts_with("JNP-"))
        << rule.id;
    EXPECT_FALSE(rule.meaning.empty());
    const auto same = std::count_if(pickle::rules().begin(), pickle::rules().end(),
                                    [&](const Rule& other) { return other.id == rule.id; });
    EXPECT_EQ(same, 1) << rule.id;
  }
}

TEST(PickleNames, StandingOfNames) {
  using pickle::judge_name;
  using pickle::Standing;
  const auto standing = [](std::string_view module, std::string_view name) {
    return judge_name(module, name).standing;
  };
  EXPECT_EQ(standing("os", "system"), Standing::dangerous);
  EXPECT_EQ(standing("os.path", "exists"), Standing::dangerous);
  EXPECT_EQ(standing("site", "os.system"), Standing::dangerous);
  EXPECT_EQ(standing("collections", "OrderedDict"), Standing::allowed);
  EXPECT_EQ(standing("collections", "OrderedDict.__init__.__globals__"), Standing::dangerous);
  EXPECT_EQ(standing("sklearn.ensemble._forest", "RandomForestClassifier"), Standing::allowed);
  EXPECT_EQ(standing("sklearn.ensemble._forest", "RandomForest"), Standing::unknown_call);
  EXPECT_EQ(standing("torch", "load"), Standing::dangerous);
  EXPECT_EQ(standing("torch", "no_such_thing"), Standing::unknown_call);
  EXPECT_EQ(standing("my_model", "Net"), Standing::unknown_class);
  EXPECT_EQ(standing("", ""), Standing::unknown_class);
  std::string module = "commands";
  std::string name = "getoutput";
  pickle::map_python2(module, name);
  EXPECT_EQ(module + "." + name, "subprocess.getoutput");
}

// What a container format sees of the stream.
class Watcher final : public pickle::Observer {
public:
  bool on_persistent_id(const pickle::View& id, std::uint64_t) override {
    ids.push_back(id.item(2).text().value_or("?") + ":" +
                  std::to_string(id.item(4).integer().value_or(-1)) + ":" + id.item(1).name());
    return true;
  }
  void on_call(const pickle::View& object, std::uint64_t) override {
    calls.push_back(object.render());
  }
  void on_stop(const pickle::View& value, std::uint64_t end) override {
    top = value.render();
    stop = end;
  }
  std::vector<std::string> ids, calls;
  std::string top;
  std::uint64_t stop = 0;
};

struct WatchedFormat {
  static inline Watcher* watcher = nullptr;
  static Reading scan(Source& source, Session& session) {
    const pickle::Result result = pickle::scan_pickle(
        source, session, 0,
        {.streams = pickle::Options::Streams::one, .reports = pickle::Options::Reports::none},
        watcher);
    return result.state == pickle::Result::State::complete ? Reading::valid : Reading::broken;
  }
};

TEST(PickleObserver, SeesIdsCallsAndTheResultAndReportsNothing) {
  const Format format{.name = "watched",
                      .family = "watched",
                      .probe = [](const Probe&) { return Claim::yes; },
                      .scan = WatchedFormat::scan,
                      .rules = {}};
  const std::array<const Format*, 1> table{&format};
  const std::string bytes = header() + "}" + text("w") + "(" + text("storage") +
                            global("torch", "FloatStorage") + text("0") + text("cpu") + "K\x04tQ" +
                            k_system + "\x86s.";
  Watcher watcher;
  WatchedFormat::watcher = &watcher;
  MemorySource source(as_bytes(bytes));
  const Report report = scan_object(table, source, {}, nullptr);
  EXPECT_TRUE(report.findings.empty()) << show(report);
  ASSERT_EQ(watcher.ids.size(), 1U);
  EXPECT_EQ(watcher.ids[0], "0:4:torch.FloatStorage");
  ASSERT_EQ(watcher.calls.size(), 1U);
  EXPECT_EQ(watcher.calls[0], "os.system('echo hubgate-inert-marker')");
  EXPECT_EQ(watcher.stop, bytes.size());
  EXPECT_TRUE(watcher.top.starts_with("{'w': (persistent_load(")) << watcher.top;
}

// CPython refuses such an id, so a zip (PK) with a line end in it is no pickle.
TEST(Pickle, a_persistent_id_of_protocol_0_is_ascii) {
  EXPECT_EQ(pickle::looks_like_pickle(as_bytes("PK\x03\x04\x80\xff\n.")), Claim::no);
  EXPECT_EQ(pickle::looks_like_pickle(as_bytes("Pid\n0N.")), Claim::maybe);
}

} // namespace
TEST(Pickle, AConfigurationInItIsJudgedAsOne) {
  const auto made = [](std::string_view target) {
    const std::string bytes = header() + "}" + text("hyper_parameters") + "}" + text("model") +
                              "}(" + text("_target_") + text(target) + text("name") + text("id") +
                              "uss.";
    return test::scan_bytes(bytes);
  };
  const Report report = made("os.system");
  const Finding* finding = find_rule(report, "config-dangerous-target");
  ASSERT_NE(finding, nullptr) << show(report);
  EXPECT_NE(finding->where.find("hyper_parameters.json"), std::string::npos);
  EXPECT_TRUE(is_clean(made("torch.nn.Linear")));
}

// However the key is written, and behind more texts than are kept.
TEST(Pickle, AConfigurationIsJudgedWhateverComesBeforeIt) {
  const auto made = [](const std::string& before, const std::string& key) {
    return test::scan_bytes(header() + before + "}(" + key + text("os.system") + "u.");
  };
  std::string many = "](";
  for (int i = 0; i < 70'000; ++i)
    many += text("0123456789abcdef");
  many += "e0";
  const std::string name = "_target_";
  for (const std::string& key: {text(name), "X\x08" + std::string(3, '\0') + name, "U\x08" + name,
                                "\x8d\x08" + std::string(7, '\0') + name})
    for (const std::string& before: {std::string(), many})
      EXPECT_NE(find_rule(made(before, key), "config-dangerous-target"), nullptr)
          << static_cast<int>(key[0]) << " behind " << before.size();
}

TEST(Pickle, UnderTheNameOfSkopsItIsTold) {
  const Report report = scan_pickle_bytes(k_data);
  const Finding* finding = find_rule(report, "pickle-named-skops");
  ASSERT_NE(finding, nullptr) << show(report);
  EXPECT_EQ(finding->condition, "*.skops");
}

} // namespace hubgate
