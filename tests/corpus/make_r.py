"""make_r.py OUT: what R saves: models, data frames, functions, workspaces, in all encodings."""
import subprocess
import sys

SCRIPT = """
cars <- mtcars
models <- list(lm = lm(mpg ~ wt, cars), glm = glm(am ~ wt, binomial, cars), nls = nls(mpg ~ a + b * wt, cars, start = list(a = 40, b = -5)),
               loess = loess(mpg ~ wt, cars), kmeans = kmeans(cars, 3), pca = prcomp(cars), tree = hclust(dist(cars)),
               aov = aov(mpg ~ factor(cyl), cars), spline = splinefun(1:5, 1:5), ecdf = ecdf(cars$mpg), density = density(cars$mpg))
for (name in names(models)) saveRDS(models[[name]], paste0(name, ".rds"))
adder <- function(a) { b <- a; function(x) x + b }
setClass("Point", representation(x = "numeric"))
values <- list(frame = cars, sequence = 1:10, mixed = list(1, "x", NULL, TRUE, 1 + 2i, as.raw(1:3)), factor = factor(c("a", "b")), date = Sys.Date(),
               formula = y ~ x, closure = adder(2), compiled = compiler::cmpfun(function(x) { for (i in 1:10) x <- x + i; x }),
               point = new("Point", x = 1), series = ts(1:10), nothing = NULL, names = letters, environment = as.environment(list(a = 1)))
for (name in names(values)) saveRDS(values[[name]], paste0(name, ".rds"))
saveRDS(letters, "text.rds", ascii = TRUE)
saveRDS(letters, "version2.rds", version = 2, compress = "bzip2")
saveRDS(matrix(1:9, 3), "xz.rds", compress = "xz")
saveRDS(letters, "plain.rds", compress = FALSE)
connection <- file("native.rds", "wb"); serialize(cars, connection, xdr = FALSE); close(connection)
x <- 1; y <- cars
save(x, y, file = "workspace.rda"); save(x, y, file = "workspace_text.rda", ascii = TRUE); save(x, file = "workspace2.rda", version = 2)
save.image("image.RData")
"""
subprocess.run(["Rscript", "--vanilla", "-e", SCRIPT], cwd=sys.argv[1], check=True)
