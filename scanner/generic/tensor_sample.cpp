#include "scanner/generic/tensor_sample.hpp"

#include "scanner/core/kept.hpp"
#include "scanner/core/reader.hpp"
#include "scanner/formats/pickle/pickle.hpp"
#include "scanner/generic/executables.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <vector>

namespace hubgate {
static_assert(k_sample <= k_max_kept_length && k_sampled_tensors <= k_max_kept);
namespace {

constexpr std::size_t k_decoded = 1024; ///< bytes of a decoded stream that are looked at
constexpr std::size_t k_prefix = 16;    ///< a length or a key may stand in front

std::size_t size_of(Element element) {
  switch (element) {
  case Element::float16:
  case Element::bfloat16:
    return 2;
  case Element::float32:
    return 4;
  case Element::float64:
    return 8;
  case Element::other:
    break;
  }
  return 0;
}

// What a decoded stream begins with. Only structures whose check random bytes don't pass.
std::optional<std::string> known(Bytes stream) {
  for (std::size_t at = 0; at <= k_prefix && at + 64 < stream.size(); ++at) {
    const Bytes rest = stream.subspan(at);
    MemorySource source(rest);
    if (const auto program = find_executable(source, 0, std::uint64_t{1} << 40);
        program && program->complete)
      return program->what;
    Reader in(rest);
    if (starts_with(rest, "PK\3\4")) {
      in.seek(8);
      const auto method = in.le<std::uint16_t>().value_or(99);
      in.seek(26);
      const auto name = in.le<std::uint16_t>().value_or(0);
      if ((method == 0 || method == 8) && name > 0 && name < 256) return "a zip archive";
    }
    if (starts_with(rest, std::string_view("7z\xbc\xaf\x27\x1c", 6))) return "a 7z archive";
    if (starts_with(rest, std::string_view("\xfd"
                                           "7zXZ\0",
                                           6)))
      return "an xz stream";
    if (starts_with(rest, std::string_view("\x1f\x8b\x08\0\0\0\0\0", 8))) return "a gzip stream";
    if (starts_with(rest, "#!/bin/") || starts_with(rest, "#!/usr/bin/")) return "a script";
    if (rest[0] == 0x80 && rest[1] >= 2 && rest[1] <= 5 &&
        pickle::looks_like_pickle(rest) == Claim::yes &&
        (as_text(rest).substr(0, 64).find("c__builtin__") != std::string_view::npos ||
         rest[2] == 0x95))
      return "a pickle";
  }
  return std::nullopt;
}

// The lowest `bytes` bytes of each element, in either order.
std::vector<std::uint8_t> low_bytes(Bytes data, std::size_t width, std::size_t bytes, bool turned) {
  std::vector<std::uint8_t> out;
  for (std::size_t at = 0; at + width <= data.size() && out.size() < k_decoded; at += width)
    for (std::size_t i = 0; i < bytes; ++i)
      out.push_back(data[at + (turned ? bytes - 1 - i : i)]);
  return out;
}

// The lowest `bits` bits of each element, first bits high or low.
std::vector<std::uint8_t> low_bits(Bytes data, std::size_t width, unsigned bits, bool low_first) {
  std::vector<std::uint8_t> out;
  unsigned filled = 0;
  unsigned byte = 0;
  for (std::size_t at = 0; at + width <= data.size() && out.size() < k_decoded; at += width) {
    const unsigned part = data[at] & ((1U << bits) - 1);
    byte |= low_first ? part << filled : part << (8 - bits - filled);
    filled += bits;
    if (filled < 8) continue;
    out.push_back(static_cast<std::uint8_t>(byte));
    byte = 0;
    filled = 0;
  }
  return out;
}

bool is_finite(Bytes data, Element element) {
  const auto high = static_cast<unsigned>(data[data.size() - 1]);
  const auto next = static_cast<unsigned>(data[data.size() - 2]);
  switch (element) {
  case Element::float16:
    return (high & 0x7c) != 0x7c;
  case Element::bfloat16:
  case Element::float32:
    return (high & 0x7f) != 0x7f || (next & 0x80) == 0;
  case Element::float64:
    return (high & 0x7f) != 0x7f || (next & 0xf0) != 0xf0;
  case Element::other:
    break;
  }
  return true;
}

} // namespace

void sample_tensor(Source& source, Session& session, std::uint64_t offset, std::uint64_t size,
                   Element element, std::string_view name) {
  const Bytes view =
      source.view(offset, static_cast<std::size_t>(std::min<std::uint64_t>(k_sample, size)));
  const std::vector<std::uint8_t> data(view.begin(), view.end());
  // Of the sample alone: of what streams by nothing else is kept.
  MemorySource sample{Bytes(data)};
  if (const auto program = find_executable(sample, 0, size); program && program->complete)
    session.find(k_rule_hidden_executable, offset, size,
                 std::string(name) + " is " + program->what);
  const std::size_t width = size_of(element);
  if (width == 0 || data.size() < 64 * width) return;

  std::size_t odd = 0;
  for (std::size_t at = 0; at + width <= data.size(); at += width)
    odd += !is_finite(Bytes(data).subspan(at, width), element);
  if (odd > 0)
    session.find(k_rule_not_finite, offset, size,
                 std::string(name) + ": " + std::to_string(odd) + " of the first " +
                     std::to_string(data.size() / width) + " numbers");

  const auto judge = [&](const std::vector<std::uint8_t>& stream, std::string_view how) {
    const auto found = known(stream);
    if (found)
      session.find(k_rule_steganography, offset, size,
                   std::string(name) + ": the " + std::string(how) + " make " + *found);
    return found.has_value();
  };
  const std::size_t mantissa = width == 2 ? 1 : width == 4 ? 3 : 6;
  for (std::size_t bytes = 1; bytes <= mantissa; ++bytes)
    for (const bool turned: {false, true})
      if ((bytes > 1 || !turned) && judge(low_bytes(data, width, bytes, turned), "low bytes"))
        return;
  for (const unsigned bits: {1U, 2U, 4U})
    for (const bool low_first: {false, true})
      if (judge(low_bits(data, width, bits, low_first), "low bits")) return;
}

bool sample_weights(Source& source, Session& session, std::uint64_t data_begin,
                    std::span<const SampledTensor> tensors, const std::function<bool()>& release) {
  tensors = tensors.first(std::min(tensors.size(), k_sampled_tensors));
  const auto look = [&] {
    for (const SampledTensor& tensor: tensors)
      if (tensor.size > 0)
        sample_tensor(source, session, data_begin + tensor.begin, tensor.size, tensor.element,
                      "the tensor at " + std::to_string(tensor.begin));
  };
  if (source.size() && source.random_access()) {
    look();
    return release();
  }
  auto* const keeper = dynamic_cast<KeepingSource*>(&source);
  if (keeper == nullptr) return release();
  std::vector<KeptRange> ranges;
  for (const SampledTensor& tensor: tensors)
    if (tensor.size > 0)
      ranges.push_back({data_begin + tensor.begin, std::min<std::uint64_t>(tensor.size, k_sample)});
  keeper->keep(std::move(ranges));
  if (!release()) return false;
  source.wait_end();
  if (source.fault() == Fault::none) look();
  return true;
}

} // namespace hubgate
