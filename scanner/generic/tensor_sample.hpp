#pragma once
// A look at the first bytes of a tensor: weights that are a program, or that carry one in the low
// bits of their numbers (EvilModel, arXiv 2107.08590 and 2109.04344). Only what decodes to a known
// structure is told; noise is not measured, since honest low bits are noise too.
#include "scanner/core/session.hpp"

#include <functional>
#include <span>
#include <string_view>

namespace hubgate {

/// How a tensor's elements are stored, as far as it matters here.
enum class Element { other, float16, bfloat16, float32, float64 };

/// Looks at up to k_sample bytes of the tensor at [offset, offset + size) of `source` and reports
/// rules tensor-steganography, generic-executable and tensor-not-finite. `name` is for evidence.
void sample_tensor(Source& source, Session& session, std::uint64_t offset, std::uint64_t size,
                   Element element, std::string_view name);

struct SampledTensor {
  std::uint64_t begin; ///< from the beginning of the data
  std::uint64_t size;
  Element element = Element::other;
};

/// Samples the tensors of weights whose data begin at `data_begin`: at once when they are here,
/// else when all has come, of bytes that the source is asked to keep while the rest passes.
/// `release` gives the rest up and lets it go; returns what it returns.
bool sample_weights(Source& source, Session& session, std::uint64_t data_begin,
                    std::span<const SampledTensor> tensors, const std::function<bool()>& release);

inline constexpr std::size_t k_sample = std::size_t{32} << 10;
/// Tensors of one object that are looked at; a payload begins in the first ones.
inline constexpr std::size_t k_sampled_tensors = 512;

inline constexpr Rule k_rule_steganography{
    "tensor-steganography",
    "executable",
    Severity::suspicious,
    Reach::data,
    "CWE-506",
    "AML.T0018.002",
    "POL-006",
    "the low bits of a tensor's numbers make a program, an archive or a pickle"};
inline constexpr Rule k_rule_not_finite{
    "tensor-not-finite",
    "structure",
    Severity::informational,
    Reach::data,
    "",
    "AML.T0018.000",
    "POL-012",
    "a tensor begins with numbers that are not finite, which spoils what is computed with it"};

} // namespace hubgate
