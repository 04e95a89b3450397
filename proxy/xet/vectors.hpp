#pragma once
// For tests: the vectors, and the inputs that they describe.
#include "scanner/core/bytes.hpp"

#include <boost/json.hpp>

#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

namespace hubgate::xet::vectors {

/// A file of proxy/xet/vectors; tests run at the root of the sources.
inline std::string file(const std::string& name) {
  std::ifstream in("proxy/xet/vectors/" + name, std::ios::binary);
  if (!in) throw std::runtime_error("no vector " + name);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

inline boost::json::value json(const std::string& name) {
  return boost::json::parse(file(name));
}

/// splitmix64: the numbers one after the other.
class Random {
public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    state_ += 0x9e3779b97f4a7c15;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }

private:
  std::uint64_t state_;
};

inline std::string random_bytes(std::uint64_t seed, std::size_t n) {
  Random random(seed);
  std::string out;
  while (out.size() < n)
    for (std::uint64_t word = random.next(), i = 0; i < 8; ++i, word >>= 8)
      out += static_cast<char>(word & 0xff);
  out.resize(n);
  return out;
}

inline std::string lines(std::size_t n) {
  std::string out;
  for (std::uint64_t i = 0; out.size() < n; ++i) {
    const std::string number = std::to_string(i);
    out += "line " + std::string(8 - std::min<std::size_t>(8, number.size()), '0') + number +
           " value " + std::to_string(i * 2654435761 % 1000) + "\n";
  }
  out.resize(n);
  return out;
}

/// 32-bit numbers near 1.0, and three bytes more.
inline std::string floats() {
  const std::string random = random_bytes(3, std::size_t{2} * 262'144);
  std::string out;
  for (std::uint32_t i = 0; i < 262'144; ++i) {
    const auto low = static_cast<std::uint8_t>(random[std::size_t{2} * i]);
    const auto high = static_cast<std::uint8_t>(random[std::size_t{2} * i + 1]);
    const std::uint32_t word = low | std::uint32_t{high} << 8;
    const std::uint32_t number = 0x3f800000 | (((word << 3) | (i & 7)) & 0x7fffff);
    for (unsigned shift = 0; shift < 32; shift += 8)
      out += static_cast<char>(number >> shift & 0xff);
  }
  return out + "\x01\x02\x03";
}

/// The input of this name in files.json.
inline std::string input(const std::string& name) {
  constexpr std::size_t k_mib = std::size_t{1} << 20;
  if (name == "empty") return "";
  if (name == "one") return "A";
  if (name == "tiny5") return "hello";
  if (name == "rnd_8191") return random_bytes(2, 8191);
  if (name == "rnd_8192") return random_bytes(2, 8192);
  if (name == "rnd_8193") return random_bytes(2, 8193);
  if (name == "zeros_300k") return std::string(300'000, '\0');
  if (name == "rnd_1m") return random_bytes(1, k_mib);
  if (name == "rnd_1m_edit") return random_bytes(1, k_mib).insert(500'000, "INSERTED");
  if (name == "f32_1m3") return floats();
  if (name == "text_400k") return lines(400'000);
  throw std::runtime_error("no input " + name);
}

} // namespace hubgate::xet::vectors
