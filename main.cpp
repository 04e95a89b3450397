#include "scanner/core/report.hpp"

#include <cstdio>

int main() {
  std::printf("hubgate %s\n", std::string(hubgate::engine_version()).c_str());
  return 0;
}
