// pickle_walk: shows what the pickle machine does, for tests that compare it with CPython.
//
// Standard input: streams, each a little-endian 32-bit length and that many bytes. Standard output:
// for each stream its lines, in order:
//   stream I                 the I-th stream begins
//   op OFFSET CODE           an opcode was executed; its argument lies up to the next offset
//   call NAME                something was called, in hex; "" when the callee is no imported name
//   value KIND TEXT          what STOP returns: integers, and short texts and bytes in hex
//   end HOW OFFSET           stop, truncated, broken or budget
//   finding RULE EVIDENCE    of the whole pickle format
#include "scanner/core/session.hpp"
#include "scanner/formats/pickle/machine.hpp"

#include <cstdio>
#include <iterator>
#include <string>
#include <vector>

namespace hubgate {
extern const Format format_pickle;
}

namespace {

using namespace hubgate;

void print_hex(std::string_view bytes) {
  for (const char c: bytes)
    std::printf("%02x", static_cast<unsigned>(static_cast<unsigned char>(c)));
  std::printf("\n");
}

class Printer final : public pickle::Tracer, public pickle::Observer {
public:
  void on_opcode(std::uint8_t code, std::uint64_t offset) override {
    std::printf("op %llu %u\n", static_cast<unsigned long long>(offset), code);
  }
  void on_call(const pickle::View& object, std::uint64_t) override {
    std::printf("call ");
    print_hex(object.name());
  }
  void on_stop(const pickle::View& value, std::uint64_t) override {
    if (const auto number = value.integer()) {
      std::printf("value integer %lld\n", static_cast<long long>(*number));
      return;
    }
    const bool text = value.kind() == pickle::Kind::text;
    if (!text && value.kind() != pickle::Kind::bytes) return;
    const auto content = value.text();
    if (!content) return;
    std::printf("value %s ", text ? "text" : "bytes");
    print_hex(*content);
  }
};

Claim claim(const Probe&) {
  return Claim::yes;
}

Reading trace(Source& source, Session& session) {
  Printer printer;
  pickle::Options options;
  options.reports = pickle::Options::Reports::none;
  pickle::Machine machine(source, session, options, &printer);
  machine.set_tracer(&printer);
  const auto outcome = machine.run(0);
  constexpr const char* k_names[] = {"stop", "truncated", "broken", "budget"};
  std::printf("end %s %llu\n", k_names[static_cast<int>(outcome.how)],
              static_cast<unsigned long long>(outcome.end));
  return Reading::valid;
}

constexpr Format k_trace{
    .name = "trace", .family = "", .probe = claim, .scan = trace, .rules = {}, .data_version = {}};

void show(std::span<const std::uint8_t> bytes) {
  const Format* const traced[] = {&k_trace};
  MemorySource source(bytes);
  scan_object(traced, source, Limits{}, nullptr);
  const Format* const scanned[] = {&format_pickle};
  MemorySource again(bytes);
  const Report report = scan_object(scanned, again, Limits{}, nullptr);
  for (const Finding& finding: report.findings)
    if (finding.condition.empty()) // a stream has no name
      std::printf("finding %s %s\n", finding.rule.c_str(), finding.evidence.c_str());
  for (const Gap& gap: report.gaps)
    std::printf("gap %s %s\n", std::string(to_string(gap.reason)).c_str(), gap.detail.c_str());
}

} // namespace

int main() {
  std::vector<std::uint8_t> bytes;
  for (unsigned long long index = 0;; ++index) {
    std::uint8_t length[4];
    if (std::fread(length, 1, sizeof length, stdin) != sizeof length) return 0;
    bytes.resize(static_cast<std::size_t>(length[0]) | static_cast<std::size_t>(length[1]) << 8 |
                 static_cast<std::size_t>(length[2]) << 16 |
                 static_cast<std::size_t>(length[3]) << 24);
    if (std::fread(bytes.data(), 1, bytes.size(), stdin) != bytes.size()) return 1;
    std::printf("stream %llu\n", index);
    show(bytes);
  }
}
