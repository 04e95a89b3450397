// The gate decodes what a worker answers, and a worker may have been taken over by what it read.
#include "scanner/worker/worker.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  hubgate::AnswerReader reader(2);
  const hubgate::Bytes bytes(data, size);
  const std::size_t half = size / 2;
  reader.feed(bytes.first(half));
  reader.feed(bytes.subspan(half));
  reader.end();
  for (const auto& report: reader.reports())
    for (const auto& finding: report.findings)
      if (finding.rule.size() > 100) __builtin_trap();
  return 0;
}
