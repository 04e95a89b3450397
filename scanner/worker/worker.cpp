namespace hubgate {}
