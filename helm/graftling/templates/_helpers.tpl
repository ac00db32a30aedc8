{{/* The name of the application in labels. */}}
{{- define "graftling.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" }}
{{- end }}

{{/*
The name of everything that the release makes, cluster-scoped objects included. At most 50 characters, so that every suffix
still fits into the 63 that a Service may have.
*/}}
{{- define "graftling.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{/* The labels of every object. */}}
{{- define "graftling.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/name: {{ include "graftling.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: graftling
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/* The labels that select the server's pods. They never change within a release. */}}
{{- define "graftling.selectorLabels" -}}
app.kubernetes.io/name: {{ include "graftling.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: server
{{- end }}

{{/* The ServiceAccount that the server runs as. */}}
{{- define "graftling.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "graftling.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- required "serviceAccount.name is required when serviceAccount.create is false" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* The ClusterRole that deployer accounts get inside environment namespaces. */}}
{{- define "graftling.deployerClusterRole" -}}
{{- printf "%s-deployer" (include "graftling.fullname" .) }}
{{- end }}

{{/* The namespaces that hold GitHosts and Projects, as a JSON list. */}}
{{- define "graftling.projectNamespaces" -}}
{{- if and (not .Values.projectNamespaces) (hasPrefix "kube-" .Release.Namespace) }}
{{- fail (printf "projects must not live in %s: install into another namespace, or set projectNamespaces" .Release.Namespace) }}
{{- end }}
{{- .Values.projectNamespaces | default (list .Release.Namespace) | toJson }}
{{- end }}

{{/* The deployer accounts of each of these namespaces, as a JSON list. */}}
{{- define "graftling.deployerNames" -}}
{{- prepend .Values.deployer.extraServiceAccountNames .Values.deployer.serviceAccountName | uniq | toJson }}
{{- end }}

{{/* "true" if replicas take turns under a lease. */}}
{{- define "graftling.leaderElection" -}}
{{- if or .Values.leaderElection.enabled (gt (int .Values.replicaCount) 1) }}true{{ end }}
{{- end }}

{{/* The image, by digest if there is one. */}}
{{- define "graftling.image" -}}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) }}
{{- end }}
{{- end }}
