{{- /* yes, unless the values leave the object out */}}
{{- define "diapause.isWanted" -}}
{{- if and (eq .object.kind "Namespace") (not .values.createNamespace) -}}
no
{{- else if and (eq .object.kind "PodDisruptionBudget") (lt (int .values.controller.replicas) 2) -}}
no
{{- else if and (hasPrefix "MutatingAdmissionPolicy" .object.kind) (not .values.adoption) -}}
no
{{- else -}}
yes
{{- end -}}
{{- end -}}

{{- /* Changes the object in place; prints nothing. */}}
{{- define "diapause.adapt" -}}
{{- $values := .values -}}
{{- if and (eq .object.kind "CustomResourceDefinition") $values.crds.keep -}}
{{- $annotations := dict "helm.sh/resource-policy" "keep" -}}
{{- $_ := set .object.metadata "annotations" (merge $annotations (.object.metadata.annotations | default dict)) -}}
{{- else if eq .object.kind "Deployment" -}}
{{- $_ := set .object.spec "replicas" $values.controller.replicas -}}
{{- include "diapause.adaptPod" (dict "pod" .object.spec.template.spec "own" $values.controller "values" $values) -}}
{{- else if eq .object.kind "DaemonSet" -}}
{{- include "diapause.adaptPod" (dict "pod" .object.spec.template.spec "own" $values.agent "values" $values) -}}
{{- end -}}
{{- end -}}

{{- define "diapause.adaptPod" -}}
{{- $own := .own -}}
{{- $values := .values -}}
{{- range $field := list "nodeSelector" "tolerations" -}}
{{- with get $own $field -}}{{- $_ := set $.pod $field . -}}{{- end -}}
{{- end -}}
{{- with $values.imagePullSecrets -}}{{- $_ := set $.pod "imagePullSecrets" . -}}{{- end -}}
{{- range $container := concat (.pod.initContainers | default list) .pod.containers -}}
{{- /* An image is named in deploy/base by its default repository, whose last part is the name of the value. */}}
{{- $image := get $values.images (base $container.image) -}}
{{- $_ := set $container "image" (printf "%s:%s" $image.repository $image.tag) -}}
{{- with $values.imagePullPolicy -}}{{- $_ := set $container "imagePullPolicy" . -}}{{- end -}}
{{- end -}}
{{- range $container := .pod.containers -}}
{{- with $own.resources -}}{{- $_ := set $container "resources" . -}}{{- end -}}
{{- with $own.logLevel -}}{{- $_ := set $container "env" (append ($container.env | default list) (dict "name" "LOG_LEVEL" "value" .)) -}}{{- end -}}
{{- end -}}
{{- end -}}
