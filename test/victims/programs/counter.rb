# Counts in a thread that a queue wakes.
$stdout.sync = true
data = (0...20000).to_h { |i| [i, i.to_s * 3] }
digest = data.to_a.flatten.join.sum(32)
queue = Queue.new
Thread.new { (1..).each { |n| sleep 0.05; queue << n } }
loop { puts "count #{queue.pop} #{digest}" }
